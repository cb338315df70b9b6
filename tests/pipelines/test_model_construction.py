"""Nodes of model construction."""

from pathlib import Path
from typing import Any

import pytest

from cnn_ablation.errors import ParameterError
from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.pipelines.model_construction.nodes import (
    describe_networks,
    expand_trials,
    pursue_claims,
)
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import (
    EvaluationParameters,
    EvidenceParameters,
    PursuitParameters,
    SeedParameters,
)
from tests.conftest import EVALUATION
from tests.execution.test_cluster import LOCAL

SEEDS = SeedParameters.model_validate(3)
SUMMARY = {
    "image_shape": [1, 28, 28],
    "class_names": [str(digit) for digit in range(10)],
    "images": {"train": 100},
    "fingerprint": "data",
}


def make_experiment(factors: dict[str, Any], name: str | None = None) -> ExperimentParameters:
    return ExperimentParameters.model_validate(
        {
            "title": "T",
            "question": "Q?",
            "hypothesis": "H.",
            "factors": factors,
            "condition_name": name,
        }
    )


def test_networks_are_described_once_per_condition(baseline: Configuration) -> None:
    experiment = make_experiment({"model": {"use_pooling": [True, False]}}, "pooling_{use_pooling}")
    trials = expand_trials(experiment, baseline, SEEDS, EVALUATION, SUMMARY)
    assert len(trials) == 6
    networks = describe_networks(trials, SUMMARY)
    totals = networks[networks["layer"] == "total"].set_index("condition")["parameters"]
    assert totals.to_dict() == {"pooling_True": 421_834, "pooling_False": 6_442_954}
    layers = networks[networks["condition"] == "pooling_True"]["layer"].tolist()
    assert layers[:4] == ["conv.0.conv", "conv.0.norm", "conv.0.pool", "conv.0.relu"]
    assert layers[-2:] == ["output", "total"]


def test_an_epoch_needs_a_step_per_moment(baseline: Configuration) -> None:
    experiment = make_experiment({"training": {"batch_size": [8, 30, 16]}})
    # The fewest steps are those of batches of 30: 100 images are 4 batches.
    expand_trials(experiment, baseline, SEEDS, EvaluationParameters(moments=4), SUMMARY)
    too_many = (
        r"5 moments do not fit in an epoch of 4 steps \(100 training images in batches of 30\); "
        "allowed: 1 to 4"
    )
    with pytest.raises(ParameterError, match=too_many) as failure:
        expand_trials(experiment, baseline, SEEDS, EvaluationParameters(moments=5), SUMMARY)
    assert failure.value.key == "evaluation.moments"
    averaged = make_experiment({"training": {"batch_size": [30], "averaging": ["epoch_average"]}})
    expand_trials(averaged, baseline, SEEDS, EvaluationParameters(moments=5), SUMMARY)  # evaluated once


def test_a_pursuit_checks_moments_before_it_trains(baseline: Configuration) -> None:
    class Untouched:
        def train(self, *_: object) -> None:
            pytest.fail("a trial was trained")

    with pytest.raises(ParameterError, match="allowed: 1 to 2") as failure:
        pursue_claims(
            experiment=make_experiment({"model": {"use_pooling": [True, False]}}),
            baseline=baseline,
            evidence=EvidenceParameters(
                level=0.05, smallest_effect=0.2, planned_seeds=4, spending="pocock"
            ),
            pursuit=PursuitParameters(seeds=[2, 4], minutes=None),
            splits={},
            data_summary=SUMMARY,
            store=TrialStore(Path("nowhere")),
            engine=Untouched(),
            execution=LOCAL,
            evaluation=EvaluationParameters(moments=3),
            contrasts=[],
            looks=LookLedger(Path("nowhere")),
        )
    assert failure.value.key == "evaluation.moments"
