"""Nodes of visualization."""

from typing import Any

import pandas as pd

from cnn_ablation.report.figures import (
    Comparison,
    ConfusionMatrix,
    LearningCurves,
    NoResults,
)
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.trials import Trial

NOTHING_FINISHED = "No trial has finished: there is nothing to draw."


def plot_comparison(
    experiment: ExperimentParameters,
    trials: list[Trial],
    trial_metrics: pd.DataFrame,
    condition_summary: pd.DataFrame,
) -> Comparison | NoResults:
    """Draw the conditions side by side."""
    if not condition_summary["seeds"].any():
        return NoResults(title=experiment.title, reason=NOTHING_FINISHED)
    return Comparison(
        title=experiment.title,
        question=experiment.question,
        levels={trial.condition.name: trial.condition.levels for trial in trials},
        trial_metrics=trial_metrics,
        condition_summary=condition_summary,
    )


def plot_learning_curves(
    experiment: ExperimentParameters, histories: pd.DataFrame
) -> LearningCurves | NoResults:
    """Draw training and validation per epoch, mean and range over seeds."""
    if histories.empty:
        return NoResults(title=experiment.title, reason=NOTHING_FINISHED)
    return LearningCurves(title=experiment.title, histories=histories)


def plot_confusion_matrix(
    experiment: ExperimentParameters, confusion: pd.DataFrame, final_model_choice: dict[str, Any]
) -> ConfusionMatrix | NoResults:
    """Draw the confusion matrix of the best condition's networks of all seeds."""
    if not final_model_choice:
        return NoResults(title=experiment.title, reason=NOTHING_FINISHED)
    condition = final_model_choice["condition"]
    rows = confusion[confusion["condition"] == condition]
    class_names = list(confusion["true_class"].unique())
    counts = rows.groupby("true_class", sort=False)[class_names].sum()
    return ConfusionMatrix(
        title=experiment.title,
        condition=condition,
        matrix=counts.to_numpy(),
        class_names=class_names,
        seeds=rows["seed"].nunique(),
    )
