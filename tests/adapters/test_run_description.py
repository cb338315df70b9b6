"""The description of a run in MLflow."""

import shlex
from pathlib import Path

import pytest
from kedro.pipeline import Node, Pipeline

from cnn_ablation.adapters.run_command import Params
from cnn_ablation.adapters.run_description import (
    command_of,
    commit_of,
    parameters_of,
    runner_of,
)
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import EvaluationParameters, ExecutionParameters, SeedParameters
from tests.test_provenance import git

NESTED = {"seeds": [0, 1], "baseline": {"training": {"epochs": 2, "optimizer": "sgd"}}}


def test_a_command_has_every_option() -> None:
    run_params = {
        "env": "demo",
        "pipeline_names": ["dropout"],
        "tags": ("evaluation", "reporting"),
        "from_nodes": [],
        "runtime_params": NESTED,
        "runner": "<kedro.runner.thread_runner.ThreadRunner object at 0x7f00b8e01e90>",
    }
    assert shlex.split(command_of(run_params)) == [
        "kedro",
        "run",
        "--env=demo",
        "--pipeline=dropout",
        "--tags=evaluation,reporting",
        "--runner=ThreadRunner",
        "--params=seeds=[0,1],baseline.training.epochs=2,baseline.training.optimizer=sgd",
    ]


def test_the_command_of_a_plain_run_has_no_options() -> None:
    runner = "<kedro.runner.sequential_runner.SequentialRunner object at 0x7f00b8e01e90>"
    assert command_of({"env": None, "pipeline_names": [], "runner": runner}) == "kedro run"
    assert runner_of({"runner": runner}) == "SequentialRunner"


@pytest.mark.parametrize(
    "value",
    ["sgd", "A, B", "x=1", "", "true", "007", "1e5", "null", "it's", 1e-05, 3, True, None, [[32], [64]]],
)
def test_a_command_gives_the_same_parameters_again(value: object) -> None:
    (_, _, option) = shlex.split(command_of({"runtime_params": {"a": {"b": value}, "seeds": 1}}))
    read = Params().convert(option.removeprefix("--params="), None, None)
    assert read == {"a": {"b": value}, "seeds": 1}


def test_a_command_hides_passwords() -> None:
    given = {
        "execution": {"scheduler": "tcp://me:pa/s@s@cluster:8786"},
        "server": "https://host/?token=abc&page=1",
        "password": "hunter2",
        "nested": {"API_KEY": ["k1", "k2"], "list": [{"secret": "s3"}]},
    }
    command = command_of({"runtime_params": given})
    for secret in ("me:", "pa/s", "abc", "hunter2", "k1", "s3"):
        assert secret not in command
    assert "cluster:8786" in command


def test_parameters_are_flat_settings_of_what_runs() -> None:
    def experiment(rate: float) -> ExperimentParameters:
        return ExperimentParameters.model_validate(
            {
                "title": "T",
                "question": "Q?",
                "hypothesis": "H.",
                "conditions": {"a/b: c": {"model": {"dropout_rate": rate}}},
            }
        )

    names = ["one", "other", "seeds", "evaluation", "execution"]
    pipeline = Pipeline(
        [
            Node(lambda *_: None, [f"params:{name}" for name in names], None, name="read", tags="one"),
        ]
    )
    execution = ExecutionParameters(
        device="cpu",
        precision="fp32",
        layers="fast",
        workers=None,
        scheduler="tcp://me:pw@host:8786",
        tls=None,
    )
    values = {
        "one": experiment(0.25),
        "other": experiment(0.5),
        "seeds": SeedParameters([0, 1]),
        "evaluation": EvaluationParameters(moments=3),
        "execution": execution,
        "unused": 1,
    }
    assert parameters_of(pipeline, values) == {
        "one.conditions.a_b_ c.model.dropout_rate": "0.25",
        "seeds": "[0,1]",
        "evaluation.moments": "3",
        "execution.device": "cpu",
        "execution.precision": "fp32",
        "execution.layers": "fast",
        "execution.scheduler": "tcp://***@host:8786",
    }


def test_the_commit_is_tracked_as_mlflows_tags(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text("")
    for command in (["init"], ["add", "pyproject.toml"], ["commit", "-m", "Start"]):
        git(tmp_path, *command)
    assert commit_of(tmp_path) == {
        "mlflow.source.git.commit": git(tmp_path, "rev-parse", "HEAD"),
        "mlflow.source.git.dirty": "false",
    }
