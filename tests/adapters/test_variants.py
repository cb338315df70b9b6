"""Folders of runs whose settings differ from conf."""

import errno
import json
from pathlib import Path

import pytest

from cnn_ablation.adapters.variants import (
    find_run,
    read_chapters,
    stored_variants,
    variant_globals,
    write_params,
)
from cnn_ablation.cli import run
from cnn_ablation.errors import InputError, StudyError
from cnn_ablation.study.variants import find_changes, name_variant
from tests.report.test_journal import chapter

CHANGES = {
    ("baseline", "training", "epochs"): 20,
    ("dropout", "claims"): None,
    ("dropout", "factors", "model", "fc_units"): [[8]],
}
FOLDERS = {
    "models": "data/06_models",
    "looks": "data/07_model_output",
    "outputs": "data/07_model_output",
    "model_input": "data/05_model_input",
    "reports": "data/08_reporting",
}


def test_a_variant_shares_only_trials_and_looks() -> None:
    name = name_variant(CHANGES)
    assert variant_globals(FOLDERS, CHANGES) == {
        **FOLDERS,
        "outputs": f"data/variants/{name}/07_model_output",
        "model_input": f"data/variants/{name}/05_model_input",
        "reports": f"data/variants/{name}/08_reporting",
        "variant": name,
    }


def test_a_variant_of_an_environment_stays_in_its_folder() -> None:
    reports = variant_globals({"reports": "data/demo/08_reporting"}, CHANGES)["reports"]
    assert reports == f"data/demo/variants/{name_variant(CHANGES)}/08_reporting"


def test_the_variants_with_reports_are_listed(tmp_path: Path) -> None:
    (tmp_path / "variants/one/08_reporting").mkdir(parents=True)
    (tmp_path / "variants/unfinished").mkdir()
    reports = tmp_path / "08_reporting"
    assert stored_variants(reports) == {"one": tmp_path / "variants/one/08_reporting"}


@pytest.mark.parametrize("env", [None, "demo"])
def test_the_file_of_a_variant_repeats_it(tmp_path: Path, env: str | None) -> None:
    given = {
        "baseline": {"training": {"epochs": 20}},
        "candidates": {"conditions": {"base_network_dropout_0.2": {"training": {"epochs": 3}}}},
        "dropout": {"claims": None, "factors": {"model": {"fc_units": [[8]]}}},
    }
    conf = {
        "baseline": {"training": {"epochs": 10}},
        "candidates": {"conditions": {"base_network_dropout_0.2": {"training": {"epochs": 9}}}},
        "dropout": {"claims": {"one": {}}, "factors": {"model": {"fc_units": [[64]]}}},
    }
    file = tmp_path / "variants" / "name" / "run.yml"
    write_params(file, find_changes(given, conf), env)
    params = run.make_context("run", [f"--config={file}"]).params
    assert (params["params"], params["env"]) == (given, env)


def test_a_run_is_found_by_name_by_a_part_of_it_or_by_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("epochs=2_0123abcd", "epochs=20_4567cdef", "epochs=2")
    folders = {name: tmp_path / "variants" / name / "08_reporting" for name in names}
    for folder in folders.values():
        folder.mkdir(parents=True)
    reports = tmp_path / "08_reporting"
    assert find_run("conf", reports) == reports
    assert find_run("0123", reports) == folders["epochs=2_0123abcd"]
    assert find_run("epochs=2", reports) == folders["epochs=2"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    assert find_run("other", reports) == Path("other")
    with pytest.raises(InputError, match=r"^'epochs' is a part of several names: epochs=2, epochs=20_"):
        find_run("epochs", reports)
    with pytest.raises(
        InputError, match=r"^no run 'cnf'; allowed: conf, epochs=2, .* Did you mean 'conf'"
    ):
        find_run("cnf", reports)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", r"^the name of a run is empty; allowed: conf, or a folder of reports$"),
        ("x" * 300, r"^no run 'x+', nor such a folder: File name too long; allowed: conf, or"),
    ],
)
def test_what_can_be_no_name_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_run(name, tmp_path / "08_reporting")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        if path.name == "reports":
            raise PermissionError(errno.EACCES, "Permission denied")
        return False

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(InputError, match=r"^no run '/x/reports', nor such a folder: Permission denied;"):
        find_run("/x/reports", tmp_path / "08_reporting")


def test_missing_and_damaged_chapters_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no chapter of an experiment"):
        read_chapters(tmp_path)
    file = tmp_path / "dropout" / "chapter.json"
    file.parent.mkdir()
    file.write_text(json.dumps(chapter("Dropout")))
    assert read_chapters(tmp_path)["dropout"]["title"] == "Dropout"
    for content in ("{", "{}"):
        file.write_text(content)
        with pytest.raises(StudyError, match=r"chapter\.json is damaged.* Run the experiment again"):
            read_chapters(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(StudyError, match=r"chapter\.json is damaged.*Is a directory"):
        read_chapters(tmp_path)
