"""Hooks around a run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kedro.io import DataCatalog

from cnn_ablation.adapters.hooks import StudyHooks
from cnn_ablation.datasets import ClassFoldersDataset
from cnn_ablation.errors import InputError
from tests.conftest import kedro, make_project, write_yaml


def test_an_untracked_pipeline_creates_no_run(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    disabled = {"tracking": {"disable_tracking": {"pipelines": ["batchnorm"]}}}
    write_yaml(project / "conf/local/mlflow.yml", disabled)
    result = kedro(project, "run", "--pipeline=batchnorm", "--params=seeds=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "validation accuracy" in result.stdout
    assert not list(project.glob("mlartifacts/*"))


def test_a_set_of_images_that_cannot_be_described_is_named(tmp_path: Path) -> None:
    hooks = StudyHooks()
    hooks._context = cast(Any, SimpleNamespace(place_of=lambda *_: "conf/local/catalog.yml"))
    catalog = DataCatalog({"images": ClassFoldersDataset(str(tmp_path / "nowhere"), [8, 8])})
    with pytest.raises(InputError, match=r"^conf/local/catalog\.yml: images: .*nowhere does not exist"):
        hooks._describe_images(catalog)
