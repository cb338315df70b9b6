"""Nodes of visualization.

A figure is annotated as Any: else every command would import matplotlib, not only what draws.
"""

from typing import Any

import pandas as pd

from cnn_ablation.parameters import EvidenceParameters, ExperimentParameters, Trial


def plot_comparison(
    experiment: ExperimentParameters,
    trials: list[Trial],
    trial_metrics: pd.DataFrame,
    condition_summary: pd.DataFrame,
) -> Any:
    """The experiment's figure: its conditions side by side."""
    from cnn_ablation import figures

    levels = {trial.condition.name: trial.condition.levels for trial in trials}
    return figures.comparison(
        experiment.title, experiment.question, levels, trial_metrics, condition_summary
    )


def plot_learning_curves(experiment: ExperimentParameters, histories: pd.DataFrame) -> Any:
    """Training and validation per epoch, mean and range over seeds."""
    from cnn_ablation import figures

    return figures.learning_curves(experiment.title, histories)


def plot_effects(
    experiment: ExperimentParameters, verdicts: pd.DataFrame, evidence: EvidenceParameters
) -> Any:
    """The claims about accuracy as intervals against zero and the smallest effect that matters."""
    from cnn_ablation import figures

    return figures.effects(experiment.title, verdicts, evidence.smallest_effect)


def plot_confusion_matrix(
    experiment: ExperimentParameters, confusion: pd.DataFrame, final_model_choice: dict[str, Any]
) -> Any:
    """What the best condition's networks take for what, over all its seeds."""
    from cnn_ablation import figures

    condition = final_model_choice["condition"]
    rows = confusion[confusion["condition"] == condition]
    class_names = list(confusion.columns[3:])
    counts = rows.groupby("true_class", sort=False)[class_names].sum()
    return figures.confusion_matrix(
        experiment.title, condition, counts.to_numpy(), class_names, rows["seed"].nunique()
    )
