"""Hooks around a run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numba
import pytest
from kedro.io import DataCatalog

from cnn_ablation.adapters.hooks import StudyHooks
from cnn_ablation.datasets import ClassFoldersDataset
from cnn_ablation.errors import InputError
from cnn_ablation.study.parameters import ExecutionParameters
from tests.conftest import kedro, make_project, write_yaml


def test_an_untracked_pipeline_creates_no_run(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    disabled = {"tracking": {"disable_tracking": {"pipelines": ["batchnorm"]}}}
    write_yaml(project / "conf/local/mlflow.yml", disabled)
    result = kedro(project, "run", "--pipeline=batchnorm", "--params=seeds=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "validation accuracy" in result.stdout
    assert not list(project.glob("mlartifacts/*"))


def test_a_pipeline_that_conf_does_not_track_must_exist(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    disabled = {"tracking": {"disable_tracking": {"pipelines": ["batchnrm"]}}}
    write_yaml(project / "conf/local/mlflow.yml", disabled)
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 1
    message = result.stderr.splitlines()[-1]
    assert message.startswith(
        "Error: conf/local/mlflow.yml: tracking.disable_tracking.pipelines: there is no pipeline "
        "'batchnrm'; allowed: "
    )
    assert message.endswith(" Did you mean 'batchnorm'?")


def test_results_that_exist_are_never_taken_for_those_of_other_settings(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    result = kedro(project, "run", "--pipeline=batchnorm", "--only-missing-outputs")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: --only-missing-outputs: not supported, because ")
    assert not list(project.glob("data/06_models/trials/*"))


def test_the_environment_of_the_user_cannot_name_an_unknown_run_or_another_server(
    tmp_path: Path,
) -> None:
    result = kedro(
        make_project(tmp_path),
        *("run", "--pipeline=batchnorm"),
        MLFLOW_RUN_ID="abcdef",
        MLFLOW_TRACKING_URI="http://elsewhere",
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        "Error: MLFLOW_RUN_ID: there is no run 'abcdef' in the experiment fashion_mnist_cnn_tuning; "
    )
    assert result.stdout.count("MLFLOW_TRACKING_URI (http://elsewhere) is not used") == 1
    assert not (tmp_path / "data/06_models").exists()


def test_a_set_of_images_that_cannot_be_described_is_named(tmp_path: Path) -> None:
    hooks = StudyHooks()
    hooks._context = cast(Any, SimpleNamespace(place_of=lambda *_: "conf/local/catalog.yml"))
    catalog = DataCatalog({"images": ClassFoldersDataset(str(tmp_path / "nowhere"), [8, 8])})
    with pytest.raises(InputError, match=r"^conf/local/catalog\.yml: images: .*nowhere does not exist"):
        hooks._describe_images(catalog)


def test_fast_layers_without_the_compiler_are_refused_here_but_not_for_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks = StudyHooks()
    hooks._context = cast(Any, SimpleNamespace(place_of=lambda *_: "conf/base/parameters.yml"))
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    common: Any = {"device": "cpu", "precision": "fp32", "workers": None, "tls": None}
    elsewhere = ExecutionParameters(**common, layers="fast", scheduler="tcp://10.0.0.5:8786")
    hooks._check_execution(elsewhere)
    hooks._check_execution(ExecutionParameters(**common, layers="torch", scheduler=None))
    with pytest.raises(InputError, match=r"^conf/base/parameters\.yml: execution\.layers: fast needs"):
        hooks._check_execution(ExecutionParameters(**common, layers="fast", scheduler=None))


def test_a_result_that_its_dataset_cannot_write_is_named(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    entry = {"type": "pandas.CSVDataset", "filepath": "x.csv", "save_args": {"indx": False}}
    write_yaml(project / "conf/local/catalog_mine.yml", {"{experiment}.condition_summary": entry})
    result = kedro(project, "run", "--pipeline=batchnorm", "--params=seeds=1")
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "Traceback" not in output
    error = result.stderr[result.stderr.index("Error: ") :]
    assert "cannot be written as kedro_datasets.pandas.csv_dataset.CSVDataset: " in error
    assert "unexpected keyword argument 'indx'" in error
    assert "Stored trials are kept" in error


def test_a_dataset_of_a_type_that_cannot_hold_a_result_is_named_before_the_run(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    entry = {"type": "pandas.CSVDataset", "filepath": "x.csv"}
    for name, expected in (("{experiment}.runs", "MlflowTrialRunsDataset"), ("splits", "ArraysDataset")):
        write_yaml(project / "conf/local/catalog_mine.yml", {name: entry})
        result = kedro(project, "run", "--pipeline=batchnorm")
        assert result.returncode == 1
        assert result.stderr.endswith(
            f"Error: conf/local/catalog_mine.yml: {name}: type: CSVDataset cannot hold this result; "
            f"allowed: cnn_ablation.datasets.{expected}\n"
        )
