"""`scripts/publish_study.sh`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

TABLES = ("condition_summary", "trial_metrics", "verdicts", "pairs", "noise_budget", "reproduction")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script in an otherwise empty project."""
    (tmp_path / "scripts").mkdir()
    return Path(shutil.copy(ROOT / "scripts/publish_study.sh", tmp_path / "scripts"))


def publish(script: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["bash", script, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("data", ["data", "data/demo", "data/variants/epochs=20_0123abcd"])
def test_journal_tables_histories_and_looks_are_published(script: Path, data: str) -> None:
    project = script.parents[1]
    reports, outputs = (project / data / layer for layer in ("08_reporting", "07_model_output"))
    files = [reports / name for name in ("journal.md", "journal.html", "study_summary.csv")]
    looks = project / ("data" if "variants" in data else data) / "07_model_output"
    files += [looks / "looks.json", looks / "other/looks.json", outputs / "one/histories.csv"]
    files += [reports / "other" / file.name for file in files[:3]]
    files += [reports / "one" / name for name in ("chapter.json", "claims.png", "final_model.json")]
    files += [reports / "one" / f"{table}.csv" for table in TABLES]
    for file in [*files, reports / "predictions/contact_sheet.png"]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    replaced, kept = project / "docs/study/one/outdated.png", project / "docs/study/earlier/claims.png"
    for file in (replaced, kept):
        file.parent.mkdir(parents=True)
        file.touch()
    published = publish(script, *([] if data == "data" else [str(project / data)]))
    assert published.returncode == 0, published.stderr
    study = project / "docs/study"
    assert {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()} == {
        *("journal.md", "journal.html", "study_summary.csv", "looks.json"),
        *("earlier/claims.png", "one/claims.png", "one/histories.csv"),
        *(f"one/{table}.csv" for table in TABLES),
        *(f"other/{name}" for name in ("journal.md", "journal.html", "study_summary.csv", "looks.json")),
    }


def test_the_journal_of_a_study_is_published_without_that_of_the_main_study(script: Path) -> None:
    project = script.parents[1]
    files = [
        f"08_reporting/other/{name}" for name in ("journal.md", "journal.html", "study_summary.csv")
    ]
    for name in (*files, "07_model_output/other/looks.json"):
        file = project / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    kept = project / "docs/study/journal.md"
    kept.parent.mkdir(parents=True)
    kept.write_text("Main study")
    published = publish(script)
    assert published.returncode == 0, published.stderr
    assert kept.read_text() == "Main study"
    assert (kept.parent / "other/journal.md").exists()


def test_without_a_journal_nothing_is_replaced(script: Path) -> None:
    kept = script.parents[1] / "docs/study/journal.md"
    kept.parent.mkdir(parents=True)
    kept.touch()
    published = publish(script)
    assert published.returncode == 1
    assert "has no journal; run a study first" in published.stderr
    assert kept.exists()
