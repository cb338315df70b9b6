"""A study continues if an experiment or a condition has no results."""

import json
from pathlib import Path

import pandas as pd

from tests.conftest import kedro, make_project, write_yaml

DIVERGING = {"training": {"optimizer": {"kind": "sgd", "learning_rate": 1.0e8}}}
WORDS = {"question": "Q?", "hypothesis": "H.", "study": "mini"}


def test_a_study_continues_without_an_experiment_that_diverges(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    lost = {
        "title": "Lost",
        "fixed": DIVERGING,
        "factors": {"model": {"dropout_rate": [0.1, 0.2]}},
        "condition_name": "{dropout_rate}",
        "claims": {"one": {"text": "It is.", "kind": "above", "condition": "0.1", "than": "0.2"}},
    }
    part = {
        "title": "Part",
        "conditions": {"None": {}, "007": DIVERGING},
        "claims": {"one": {"text": "It is.", "kind": "best", "condition": "None"}},
    }
    for name, experiment in {"lost": lost, "part": part}.items():
        write_yaml(project / f"conf/local/parameters_{name}.yml", {name: experiment | WORDS})
    result = kedro(project, "run", "--pipeline=mini")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No trial has finished, so that it cannot win: lost" in result.stdout
    assert "No trial has finished: there are no results to compare." in result.stdout
    assert result.stdout.count("0 (2 diverged)") == 3
    reports = project / "data/08_reporting"
    assert json.loads((reports / "mini/winner.json").read_text())["condition"] == "None"
    summary = pd.read_csv(reports / "mini/study_summary.csv", dtype=str, keep_default_na=False)
    assert summary["condition"].tolist() == ["0.1", "0.2", "007", "None"]
    assert summary["diverged"].tolist() == ["2", "2", "2", "0"]
    journal = (reports / "mini/journal.md").read_text()
    assert "No trial has finished, so there are no results to compare: Lost." in journal


def test_published_numbers_that_cannot_be_read_are_named_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path)
    file = project / "data/01_raw/journal/tables.csv"
    content = file.read_text()
    file.unlink()  # It may be a link to that of this repository.
    for text, reason in (
        (None, "does not exist"),
        ("run_name,metric,printed\n", "cannot be read: there is no column value, only run_name, metric"),
        (content, ""),
    ):
        if text is not None:
            file.write_text(text)
        result = kedro(project, "run", "--pipeline=batchnorm", "--params=seeds=1")
        assert (result.returncode == 0) == (not reason), result.stderr
        if reason:
            assert f"Error: published_tables: {file} {reason}" in result.stderr
            assert not list(project.glob("data/06_models/trials/*"))
