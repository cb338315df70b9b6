"""Hooks around a run."""

from pathlib import Path

from tests.conftest import kedro, make_project, write_yaml


def test_an_untracked_pipeline_creates_no_run(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    disabled = {"tracking": {"disable_tracking": {"pipelines": ["batchnorm"]}}}
    write_yaml(project / "conf/local/mlflow.yml", disabled)
    result = kedro(project, "run", "--pipeline=batchnorm", "--params=seeds=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "validation accuracy" in result.stdout
    assert not list(project.glob("mlartifacts/*"))
