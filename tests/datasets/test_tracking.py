"""Tracking is second to results: they are stored, even if MLflow fails."""

import errno
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pluggy
import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.specs import NodeSpecs, PipelineSpecs
from kedro.io import DataCatalog, DatasetError
from kedro_mlflow.framework.hooks import MlflowHook
from mlflow.exceptions import MlflowException

from cnn_ablation.adapters.abandoned_runs import AbandonedRunHooks
from cnn_ablation.adapters.tracking import TrackingHooks
from cnn_ablation.adapters.untracked_runs import UntrackedHooks
from cnn_ablation.adapters.variants import VariantHooks
from cnn_ablation.datasets import MlflowArtifactDataset, MlflowTrialRunsDataset
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.errors import StudyError
from cnn_ablation.execution.outcomes import TrialRun
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.trials import Condition, Trial


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    tracking.begin()
    yield
    tracking.begin()


def unreachable(*_: Any, **__: Any) -> Any:
    raise MlflowException("http://me:hunter2@host cannot be reached")


def fail_to_write(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_failure_is_reported_once_and_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def fail() -> str:
        calls.append("call")
        return str(unreachable())

    with caplog.at_level(logging.WARNING):
        assert [tracking.attempt(fail, "nothing") for _ in range(3)] == ["nothing"] * 3
    assert calls == ["call"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot be reached). The run goes on untracked; its results are stored" in caplog.text
    assert "hunter2" not in caplog.text


def test_the_next_run_is_tracked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    tracking.attempt(unreachable, None)
    assert tracking.fault
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    tracking.begin()
    assert tracking.attempt(lambda: "logged", "") == "logged"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def artifact(file: Path) -> Any:
    return MlflowArtifactDataset(
        dataset={"type": "json.JSONDataset", "filepath": str(file)}, artifact_path="results"
    )


def test_a_file_is_written_even_if_it_cannot_be_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "log_artifact", unreachable)
    for name in ("first", "second"):
        artifact(tmp_path / f"{name}.json").save({"name": name})
        assert json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) == {"name": name}
    assert tracking.fault


def test_a_file_is_logged_while_tracking_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(mlflow, "log_artifact", lambda *arguments: logged.append(arguments))
    dataset = artifact(tmp_path / "x.json")
    assert type(dataset).__name__ == "MlflowJSONDataset"
    dataset.save([1])
    assert logged == [((tmp_path / "x.json").as_posix(), "results")]
    assert dataset.load() == [1]
    assert not tracking.fault


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(DatasetError):
        artifact(tmp_path / "folder/x.json").save([1])
    assert not tracking.fault


def test_a_trial_is_in_the_table_even_if_it_cannot_be_tracked(
    tmp_path: Path, baseline: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "active_run", unreachable)
    trial = Trial(condition=Condition(name="a", levels={}, **dict(baseline)), seed=0)
    dataset = MlflowTrialRunsDataset(str(tmp_path / "runs.csv"), "dropout")
    run = TrialRun(trial, 0, "key", "finished", {}, [], {}, reused=False, error="")
    dataset.save(run)
    table = dataset.load()
    assert list(table["key"]) == ["key"]
    assert list(table["mlflow_run_id"]) == [""]


def test_two_runs_of_an_experiment_read_their_own_trials(
    tmp_path: Path, baseline: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "active_run", unreachable)
    condition = Condition(name="a", levels={}, **dict(baseline))
    one, other = (MlflowTrialRunsDataset(str(tmp_path / "runs.csv"), "dropout") for _ in range(2))
    for seed in range(3):
        trial = Trial(condition=condition, seed=seed)
        one.save(TrialRun(trial, seed, f"key {seed}", "finished", {}, [], {}, reused=False, error=""))
        if seed == 1:
            other.save(TrialRun(trial, 0, "other", "finished", {}, [], {}, reused=False, error=""))
    other.save(TrialRun(trial, 1, "last", "finished", {}, [], {}, reused=False, error=""))
    assert list(one.load()["key"]) == ["key 0", "key 1", "key 2"]
    assert list(other.load()["key"]) == ["other", "last"]
    assert [file.name for file in tmp_path.iterdir()] == ["runs.csv"]


class Failing:
    """A plugin whose hooks fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @hook_impl
    def before_node_run(self) -> None:
        raise self.error

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        raise self.error


def hooks_with(*more: Any) -> Any:
    """The hooks of tracking, with those of more plugins."""
    manager = pluggy.PluginManager("kedro")
    for specifications in (NodeSpecs, PipelineSpecs):
        manager.add_hookspecs(specifications)
    for plugin in (TrackingHooks(), UntrackedHooks(), *more):
        manager.register(plugin)
    return manager.hook


def fail_in_kedro_mlflow(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let kedro-mlflow's hooks fail, as they do if the server is gone."""

    def fail(*_: Any) -> None:
        raise error

    for name in ("before_node_run", "after_pipeline_run", "on_pipeline_error"):
        monkeypatch.setattr(MlflowHook, name, fail)


def test_a_run_goes_on_if_kedro_mlflow_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_in_kedro_mlflow(monkeypatch, MlflowException("gone"))
    hooks = hooks_with()
    catalog = DataCatalog({})
    hooks.before_node_run(node=None, catalog=catalog, inputs={}, is_async=False, run_id="")
    assert tracking.fault == "gone"
    hooks.on_pipeline_error(error=None, run_params={}, pipeline=None, catalog=catalog)
    hooks.after_pipeline_run(run_params={}, run_result={}, pipeline=None, catalog=catalog)
    printed = capsys.readouterr().out
    assert "This run was not tracked to its end: gone. Its results are complete." in printed
    assert "run the same command" in printed


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        MlflowException("(sqlite3.OperationalError) database or disk is full"),
    ],
)
def test_a_full_disk_is_reported_with_the_folder_of_temporary_files(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/small")
    fail_in_kedro_mlflow(monkeypatch, error)
    hooks = hooks_with()
    hooks.after_pipeline_run(run_params={}, run_result={}, pipeline=None, catalog=DataCatalog({}))
    printed = capsys.readouterr().out
    assert "once there is space in the folder of temporary files (/small, see TMPDIR)" in printed
    assert "can be reached" not in printed


def test_other_errors_of_hooks_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_in_kedro_mlflow(monkeypatch, ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        hooks_with().before_node_run(
            node=None, catalog=DataCatalog({}), inputs={}, is_async=False, run_id=""
        )
    assert not tracking.fault


def test_an_error_of_the_system_in_another_plugin_is_none_of_mlflow() -> None:
    hooks = hooks_with(Failing(OSError(errno.ENAMETOOLONG, "File name too long")))
    with pytest.raises(OSError, match="too long"):
        hooks.before_node_run(node=None, catalog=DataCatalog({}), inputs={}, is_async=False, run_id="")
    assert not tracking.fault


def test_hooks_after_those_of_kedro_mlflow_run_although_these_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_in_kedro_mlflow(monkeypatch, MlflowException("gone"))
    hooks = hooks_with(Failing(StudyError("1 trial has failed")))
    with pytest.raises(StudyError, match="1 trial has failed"):
        hooks.after_pipeline_run(run_params={}, run_result={}, pipeline=None, catalog=DataCatalog({}))
    assert tracking.fault == "gone"


class Loader(dict[str, Any]):
    """The globals of conf, in the default environment."""

    env = None


@pytest.mark.parametrize("hooks", [AbandonedRunHooks, VariantHooks])
def test_a_run_goes_on_if_it_cannot_be_tagged(
    hooks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("set_tag", "set_tags"):
        monkeypatch.setattr(mlflow, name, fail_to_write)
    monkeypatch.setattr(mlflow, "active_run", lambda: "a run")
    plugin = hooks()
    plugin._context = SimpleNamespace(
        changes={("seeds",): [5]},
        config_loader=Loader(globals={"reports": "variants/mine/reports", "variant": "mine"}),
        project_path=tmp_path,
    )
    plugin.before_pipeline_run()
    assert "No space left" in tracking.fault
    assert hooks is AbandonedRunHooks or (tmp_path / "variants/mine/run.yml").is_file()
