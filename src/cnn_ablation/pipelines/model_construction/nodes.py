"""Nodes of model construction."""

from typing import Any

import pandas as pd

from cnn_ablation import parameters
from cnn_ablation.parameters import (
    BaselineParameters,
    ExperimentParameters,
    SeedParameters,
    Trial,
)


def expand_trials(
    experiment: ExperimentParameters, baseline: BaselineParameters, seeds: SeedParameters
) -> list[Trial]:
    """Every condition of the experiment with every seed."""
    return parameters.expand_trials(experiment, baseline, seeds)


def describe_networks(trials: list[Trial], data_summary: dict[str, Any]) -> pd.DataFrame:
    """A row per layer of each condition's network, and one for the whole of it ("total")."""
    from cnn_ablation.network import describe_network

    conditions = {trial.condition.name: trial.condition for trial in trials}
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
            "kind": "ConvNet",
            "output_shape": layers["output_shape"].iloc[-1],
            **total,
        }
        layers.insert(0, "condition", name)
        tables.append(layers)
    return pd.concat(tables, ignore_index=True)
