"""Validation of parameters, and the trials that they define."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cnn_ablation.errors import ParameterError
from cnn_ablation.study.parameters import (
    BaselineParameters,
    ExperimentParameters,
    ModelParameters,
    SeedParameters,
    TrainingParameters,
    expand_trials,
)
from tests.conftest import JOURNAL_MODEL, QUICK_TRAINING, ROOT

ONE_SEED = SeedParameters.model_validate(1)


def experiment(**settings: Any) -> ExperimentParameters:
    return ExperimentParameters.model_validate(
        {"title": "T", "question": "Q?", "hypothesis": "H.", **settings}
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dropout_rate": 1.0}, "less than 1"),
        ({"dropout_rate": -0.1}, "greater than or equal to 0"),
        ({"dropout_rate": "0.5"}, "valid number"),
        ({"conv_channels": []}, "at least 1 item"),
        ({"conv_channels": [32, 0]}, "greater than 0"),
        ({"conv_channels": 32}, "valid list"),
        ({"kernel_size": 2}, "must be odd"),
        ({"fc_units": [-1]}, "greater than 0"),
        ({"use_pooling": 1}, "valid boolean"),
        ({"dropout": 0.5}, "unknown key 'dropout'; allowed: conv_channels"),
    ],
)
def test_model_rejects(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ModelParameters.model_validate({**JOURNAL_MODEL.model_dump(), **change})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epochs": 0}, "greater than 0"),
        ({"epochs": 1.5}, "valid integer"),
        ({"batch_size": -64}, "greater than 0"),
        ({"optimizer": "rmsprop"}, "'adam', 'adamw' or 'sgd'"),
        ({"learning_rate": 0.0}, "greater than 0"),
        ({"weight_decay": -1.0}, "greater than or equal to 0"),
        ({"momentum": 1.0}, "less than 1"),
    ],
)
def test_training_rejects(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TrainingParameters.model_validate({**QUICK_TRAINING.model_dump(), **change})


@pytest.mark.parametrize(
    ("seeds", "reason"),
    [
        (0, "at least 1 is needed"),
        (-3, "at least 1 is needed"),
        ([], "at least 1 item"),
        ([0, -1], "greater than or equal to 0"),
        ([0, 1, 0], "duplicate seeds: 0"),
        ("three", "valid list"),
        (True, "valid list"),
    ],
)
def test_seeds_reject(seeds: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SeedParameters.model_validate(seeds)


def test_a_number_of_seeds_counts_from_zero() -> None:
    assert SeedParameters.model_validate(3).root == [0, 1, 2]
    assert SeedParameters.model_validate([7, 3]).root == [7, 3]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "needs either factors or conditions"),
        (
            {
                "factors": {"model": {"dropout_rate": [0.1]}},
                "run_name": "d{dropout_rate}",
                "conditions": {"a": {"model": {"dropout_rate": 0.2}}},
            },
            "needs either factors or conditions",
        ),
        ({"factors": {"model": {"dropout_rate": []}}, "run_name": "d"}, "at least one value"),
        ({"factors": {"model": {"dropout_rate": 0.5}}, "run_name": "d"}, "at least one value"),
        (
            {"factors": {"model": {"dropout_rate": [0.5, 1.2]}}, "run_name": "d"},
            "model.dropout_rate: 1.2: Input should be less than 1",
        ),
        ({"factors": {"model": {"dropout_rate": [0.5, 0.5]}}, "run_name": "d"}, "names a value twice"),
        (
            {"factors": {"model": {"depth": [1]}}, "run_name": "d"},
            "model.depth: no such setting; allowed: conv_channels",
        ),
        ({"factors": {"data": {"depth": [1]}}, "run_name": "d"}, "unknown key 'data'"),
        ({"factors": {"model": {"dropout_rate": [0.5]}}}, "run_name: needed"),
        (
            {"factors": {"model": {"dropout_rate": [0.5]}}, "run_name": "{rate}"},
            "run_name: unknown setting {rate}; allowed:",
        ),
        (
            {"conditions": {"a": {"training": {"optimizer": "lion"}}}},
            "training.optimizer: 'lion': Input should be 'adam', 'adamw' or 'sgd'",
        ),
        ({"conditions": {"a": {}}, "fixed": {"model": {"kernel_size": 4}}}, "must be odd"),
    ],
)
def test_experiment_rejects(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as failure:
        experiment(**settings)
    assert reason in str(failure.value)


def test_conditions_need_distinct_names(baseline: BaselineParameters) -> None:
    same_name = experiment(factors={"model": {"dropout_rate": [0.1, 0.2]}}, run_name="dropout")
    with pytest.raises(ParameterError, match="more than one condition the name dropout"):
        expand_trials(same_name, baseline, ONE_SEED)


def test_factors_form_a_grid_with_the_fixed_settings(baseline: BaselineParameters) -> None:
    trials = expand_trials(
        experiment(
            fixed={"training": {"epochs": 3}},
            factors={"model": {"dropout_rate": [0.0, 0.5], "use_batch_norm": [True, False]}},
            run_name="d{dropout_rate}_bn{use_batch_norm}",
        ),
        baseline,
        SeedParameters.model_validate([4, 5]),
    )
    assert [trial.name for trial in trials] == [
        f"d{rate}_bn{norm} seed {seed}"
        for rate in (0.0, 0.5)
        for norm in (True, False)
        for seed in (4, 5)
    ]
    assert {trial.condition.training.epochs for trial in trials} == {3}
    assert trials[2].condition.levels == {"dropout_rate": 0.0, "use_batch_norm": False}
    assert not trials[2].condition.model.use_batch_norm
    assert trials[2].condition.model.fc_units == baseline.model.fc_units


def test_the_origin_of_a_setting_is_its_key_in_the_experiment() -> None:
    named = experiment(
        fixed={"model": {"kernel_size": 5}}, conditions={"a": {"model": {"fc_units": []}}}
    )
    assert named.origin("a", "model", "fc_units") == "conditions.a.model.fc_units"
    assert named.origin("a", "model", "kernel_size") == "fixed.model.kernel_size"
    assert named.origin("a", "model", "dropout_rate") is None


def test_conf_defines_the_nineteen_runs_of_the_journal() -> None:
    conf = ROOT / "conf/base"
    base = BaselineParameters.model_validate(read(conf / "parameters.yml")["baseline"])
    names, settings = [], set()
    for name in ("dropout", "batchnorm", "conv_depth", "pooling", "interactions", "combined"):
        loaded = read(conf / f"parameters_{name}.yml")[name]
        for trial in expand_trials(ExperimentParameters.model_validate(loaded), base, ONE_SEED):
            names.append(trial.condition.name)
            settings.add(str(trial.settings()))
    assert names == [
        "dropout_0.0",
        "dropout_0.2",
        "dropout_0.3",
        "dropout_0.5",
        "dropout_0.7",
        "batchnorm_True",
        "batchnorm_False",
        "conv_depth_1",
        "conv_depth_2",
        "conv_depth_3",
        "pooling_True",
        "pooling_False",
        "interaction_dropout0.0_bnTrue",
        "interaction_dropout0.0_bnFalse",
        "interaction_dropout0.5_bnTrue",
        "interaction_dropout0.5_bnFalse",
        "combined_optimal_shallow",
        "combined_optimal_deep",
        "combined_optimal_aggressive_dropout",
    ]
    assert len(settings) == 10  # the distinct trials among the nineteen


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())
