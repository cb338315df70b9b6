"""Experiments: what is allowed, and the conditions and trials that follow."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.architectures import ConvNet
from cnn_ablation.parts.optimizers import SGD, Adam
from cnn_ablation.parts.schedules import Cosine
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters, expand_trials
from cnn_ablation.study.parameters import SeedParameters
from tests.conftest import ROOT

ONE_SEED = SeedParameters.model_validate(1)


def experiment(**settings: Any) -> ExperimentParameters:
    return ExperimentParameters.model_validate(
        {"title": "T", "question": "Q?", "hypothesis": "H.", **settings}
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "needs either factors or conditions"),
        (
            {
                "factors": {"model": {"dropout_rate": [0.1]}},
                "conditions": {"a": {"model": {"dropout_rate": 0.2}}},
            },
            "needs either factors or conditions",
        ),
        ({"factors": {"model": {"dropout_rate": []}}}, "at least one value"),
        ({"factors": {"model": {"dropout_rate": 0.5}}}, "at least one value"),
        (
            {
                "factors": {
                    "model": {"fc_units": [[number] for number in range(1, 102)]},
                    "training": {"epochs": list(range(1, 12))},
                }
            },
            "1,111 combinations of values; allowed: at most 1,000 conditions",
        ),
        (
            {"factors": {"model": {"dropout_rate": [0.5, 1.2]}}},
            "model.dropout_rate: 1.2: Input should be less than 1",
        ),
        ({"factors": {"model": {"dropout_rate": [0.5, 0.5]}}}, "names a value twice"),
        ({"factors": {"model": {"layers": [1]}}}, "model.layers: no such setting; allowed: kind, conv"),
        (
            {"factors": {"model": {"droput_rate": [0.1]}}},
            "Did you mean 'dropout_rate'?",
        ),
        ({"factors": {"data": {"depth": [1]}}}, "unknown key 'data'"),
        (
            {"factors": {"training": {"learning_rate": [0.1]}}},
            "training.learning_rate: it is now optimizer.learning_rate",
        ),
        (
            {"conditions": {"a": {"training": {"momentum": 0.9}}}},
            "training.momentum: it is now optimizer.momentum",
        ),
        (
            {"factors": {"training": {"optimizer": {"step_size": [0.1]}}}},
            "training.optimizer.step_size: no such setting; allowed: kind, learning_rate, weight_decay",
        ),
        (
            {"conditions": {"a": {"training": {"optimizer": "lion"}}}},
            "training.optimizer: 'lion': no such optimizer; allowed: adam, adamw, sgd",
        ),
        (
            {"factors": {"training": {"optimizer": ["adma"]}}},
            "Did you mean 'adam'?",
        ),
        (
            {"factors": {"training": {"optimizer": ["adam", {"kind": "adam", "momentum": 0.9}]}}},
            "unknown key 'momentum'; allowed: kind, learning_rate, weight_decay",
        ),
        (
            {"factors": {"training": {"augmentation": [[], ["vertical_flip"]]}}},
            "no such augmentation; allowed: horizontal_flip",
        ),
        ({"factors": {"training": {"epochs": {"kind": [1]}}}}, "must be a list of at least one value"),
        ({"conditions": {"a": {}}, "fixed": {"model": {"kernel_size": 4}}}, "must be odd"),
        ({"conditions": {"a": {}}, "condition_name": "a"}, "conditions are named by their keys"),
        ({"conditions": {"  ": {}}}, "should match pattern"),
        (
            {"factors": {"model": {"dropout_rate": [0.5]}}, "run_name": "d"},
            "run_name is now condition_name",
        ),
        (
            {"factors": {"model": {"dropout_rate": [0.5]}}, "condition_name": "{dropout_rate"},
            "condition_name: '{dropout_rate'",
        ),
        (
            {"factors": {"model": {"dropout_rate": [0.5]}}, "condition_name": "{dropout_rate!r}"},
            "braces hold the name of a setting",
        ),
        ({"factors": {"model": {"dropout_rate": [0.5]}}, "condition_name": "  "}, "match pattern"),
        (
            {
                "factors": {"model": {"dropout_rate": [0.5]}},
                "condition_name": "{dropout_rate:9999}",
            },
            "a format pads to at most 100 characters",
        ),
    ],
)
def test_experiment_rejects(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as failure:
        experiment(**settings)
    assert reason in str(failure.value)


@pytest.mark.parametrize(
    ("settings", "key", "reason"),
    [
        (
            {"factors": {"training": {"optimizer": {"momentum": [0.0, 0.9]}}}},
            "factors.training.optimizer.momentum",
            "unknown key 'momentum'; allowed: kind, learning_rate, weight_decay",
        ),
        (
            {"conditions": {"a": {"training": {"schedule": {"final_factor": 0.1}}}}},
            "conditions.a.training.schedule.final_factor",
            "unknown key 'final_factor'; allowed: kind, warmup",
        ),
        (
            {"factors": {"model": {"dropout_rate": [0.1]}}, "condition_name": "{rate}"},
            "condition_name",
            "unknown setting {rate}; allowed: num_conv_layers",
        ),
        (
            {"factors": {"model": {"dropout_rate": [0.1]}}, "condition_name": "{dropout_rate:zz}"},
            "condition_name",
            "{dropout_rate:zz} cannot format 0.1",
        ),
        (
            {"factors": {"model": {"dropout_rate": [0.1, 0.2]}}, "condition_name": "dropout"},
            "condition_name",
            "more than one condition the name dropout",
        ),
        (
            {"factors": {"model": {"kernel_size": [10_000_001]}}, "condition_name": "{kernel_size:c}"},
            "condition_name",
            "{kernel_size:c} cannot format 10000001",
        ),
        (
            {"factors": {"training": {"batch_size": [13]}}, "condition_name": "a{batch_size:c}b"},
            "condition_name",
            r"the name 'a\rb' has characters that cannot be printed",
        ),
        (
            {"conditions": {"a\rb": {}}},
            "conditions",
            r"the name 'a\rb' has characters that cannot be printed; allowed: a line of text",
        ),
    ],
)
def test_settings_must_fit_the_baseline_and_each_other(
    baseline: Configuration, settings: dict[str, Any], key: str, reason: str
) -> None:
    with pytest.raises(ParameterError) as failure:
        experiment(**settings).conditions_of(baseline)
    assert failure.value.key == key
    assert reason in failure.value.reason


def test_a_level_may_be_a_part(baseline: Configuration) -> None:
    conditions = experiment(
        factors={
            "training": {
                "optimizer": ["adam", {"kind": "sgd", "momentum": 0.5}],
                "schedule": ["constant", "cosine"],
            }
        }
    ).conditions_of(baseline)
    assert [condition.name for condition in conditions] == [
        "optimizer_adam_schedule_constant",
        "optimizer_adam_schedule_cosine",
        "optimizer_sgd(momentum=0.5)_schedule_constant",
        "optimizer_sgd(momentum=0.5)_schedule_cosine",
    ]
    assert conditions[3].training.optimizer == SGD(momentum=0.5)
    assert conditions[3].training.schedule == Cosine()
    assert conditions[3].levels == {
        "training.optimizer": "sgd(momentum=0.5)",
        "training.schedule": "cosine",
    }


def test_a_level_may_be_a_setting_of_a_part(baseline: Configuration) -> None:
    conditions = experiment(
        factors={"training": {"optimizer": {"learning_rate": [0.01, 0.001]}}},
        condition_name="lr {optimizer.learning_rate:.0e} {optimizer}",
    ).conditions_of(baseline)
    assert [condition.name for condition in conditions] == [
        "lr 1e-02 adam(learning_rate=0.01)",
        "lr 1e-03 adam",
    ]
    assert conditions[0].levels == {"training.optimizer.learning_rate": 0.01}
    assert conditions[0].training.optimizer == Adam(learning_rate=0.01)


def test_a_level_may_be_a_list_of_augmentations(baseline: Configuration) -> None:
    conditions = experiment(
        factors={"training": {"augmentation": [[], ["horizontal_flip"]]}}
    ).conditions_of(baseline)
    assert [condition.name for condition in conditions] == [
        "augmentation_none",
        "augmentation_horizontal_flip",
    ]


def test_a_mapping_without_kind_changes_a_part_and_one_with_kind_replaces_it(
    baseline: Configuration,
) -> None:
    fixed = {"training": {"optimizer": {"kind": "sgd", "learning_rate": 0.3}}}
    changed, replaced = experiment(
        fixed=fixed,
        conditions={
            "changed": {"training": {"optimizer": {"momentum": 0.1}}},
            "replaced": {"training": {"optimizer": {"kind": "sgd", "momentum": 0.1}}},
        },
    ).conditions_of(baseline)
    assert changed.training.optimizer == SGD(learning_rate=0.3, momentum=0.1)
    assert replaced.training.optimizer == SGD(momentum=0.1)


def test_a_misspelt_condition_of_a_claim_gets_a_suggestion(baseline: Configuration) -> None:
    wrong = experiment(
        factors={"model": {"dropout_rate": [0.1, 0.2]}},
        claims={
            "it": {
                "text": "So it is.",
                "kind": "above",
                "condition": "dropout_rate_0.1",
                "than": "droput_rate_0.2",
            }
        },
    )
    with pytest.raises(ParameterError, match=r"Did you mean 'dropout_rate_0\.2'") as failure:
        wrong.conditions_of(baseline)
    assert failure.value.key == "claims.it.than"


def test_factors_form_a_grid_with_the_fixed_settings(baseline: Configuration) -> None:
    trials = expand_trials(
        experiment(
            fixed={"training": {"epochs": 3}},
            factors={"model": {"dropout_rate": [0.0, 0.5], "use_batch_norm": [True, False]}},
            condition_name="d{dropout_rate}_bn{use_batch_norm}",
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
    assert trials[2].condition.levels == {
        "model.dropout_rate": 0.0,
        "model.use_batch_norm": False,
    }
    assert trials[2].condition.model == ConvNet(dropout_rate=0.0, use_batch_norm=False)


def test_the_origin_of_a_setting_is_its_key_in_the_experiment() -> None:
    named = experiment(
        fixed={"model": {"kernel_size": 5}}, conditions={"a": {"model": {"fc_units": []}}}
    )
    assert named.origin("a", "model.fc_units") == "conditions.a.model.fc_units"
    assert named.origin("a", "model.kernel_size") == "fixed.model.kernel_size"
    assert named.origin("a", "model.dropout_rate") is None


def test_conf_defines_the_nineteen_runs_of_the_published_journal() -> None:
    conf = ROOT / "conf/base"
    base = Configuration.model_validate(read(conf / "parameters.yml")["baseline"])
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


def test_an_experiment_with_too_many_trials_is_rejected(baseline: Configuration) -> None:
    asked = experiment(factors={"training": {"epochs": list(range(1, 12))}})
    with pytest.raises(ParameterError, match="factors: 11 conditions with 10,000 seeds each"):
        expand_trials(asked, baseline, SeedParameters.model_validate(10_000))
