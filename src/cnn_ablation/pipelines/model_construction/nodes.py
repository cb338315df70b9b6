"""Nodes of model construction."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from cnn_ablation.data.splits import Arrays
from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.study import experiment as experiments
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import (
    EvaluationParameters,
    EvidenceParameters,
    ExecutionParameters,
    PursuitParameters,
    SeedParameters,
)
from cnn_ablation.study.trials import Trial, conditions_by_name

if TYPE_CHECKING:
    from cnn_ablation.execution.outcomes import Outcome


def expand_trials(
    experiment: ExperimentParameters,
    baseline: Configuration,
    seeds: SeedParameters,
    evaluation: EvaluationParameters,
    data_summary: dict[str, Any],
) -> list[Trial]:
    """Combine every condition of the experiment with its own seeds, or else those of all experiments."""
    trials = experiments.expand_trials(experiment, baseline, experiment.seeds or seeds)
    experiments.check_moments(trials, data_summary["images"]["train"], evaluation.moments)
    return trials


def pursue_claims(
    experiment: ExperimentParameters,
    baseline: Configuration,
    evidence: EvidenceParameters,
    pursuit: PursuitParameters,
    splits: Arrays,
    data_summary: dict[str, Any],
    store: TrialStore,
    engine: Any,
    execution: ExecutionParameters,
    evaluation: EvaluationParameters,
    contrasts: list[str],
    looks: LookLedger,
) -> list[Trial]:
    """Add seeds to the conditions of undecided claims until each claim is decided.

    This trains the trials, so that all of them are in the store afterwards. `engine` is an
    `execution.engine.Engine`. The annotation would import torch at start-up.
    """
    from cnn_ablation.evidence.pursuit import pursue
    from cnn_ablation.evidence.spending import load_looks
    from cnn_ablation.execution.worker import TrialData

    data = TrialData(splits, data_summary)

    def train(trials: list[Trial]) -> Iterator["Outcome"]:
        experiments.check_moments(trials, data_summary["images"]["train"], evaluation.moments)
        return engine.train(trials, data, store, execution, evaluation)  # type: ignore[no-any-return]

    return pursue(
        experiment,
        baseline,
        evidence,
        pursuit,
        data_summary["images"],
        evaluation.moments,
        contrasts,
        load_looks(looks.read().get(data_summary["fingerprint"], {})),
        train,
    )


def describe_networks(trials: list[Trial], data_summary: dict[str, Any]) -> pd.DataFrame:
    """Describe each condition's network: a row per layer, and a row `total`."""
    from cnn_ablation.report.layer_table import describe_network

    conditions = conditions_by_name(trials)
    tables = []
    for name, condition in conditions.items():
        layers = describe_network(
            condition.model,
            tuple(data_summary["image_shape"]),
            len(data_summary["class_names"]),
        )
        total = layers[["parameters", "multiply_adds"]].sum().to_dict()
        layers.loc[len(layers)] = {
            "layer": "total",
            "kind": type(condition.model).__name__,
            "output_shape": layers["output_shape"].iloc[-1],
            **total,
        }
        layers.insert(0, "condition", name)
        tables.append(layers)
    return pd.concat(tables, ignore_index=True)
