"""Scores of predictions, per trial, and their summary per condition."""

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from scipy.stats import binned_statistic
from sklearn import metrics

CALIBRATION_BINS = 15
"""As in Guo et al., 2017."""


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1 accuracy, percent; mean cross-entropy, nats; expected calibration error, 0 to 1.

    The calibration error (Guo et al., "On calibration of modern neural networks", 2017) is the mean
    distance between confidence and accuracy over bins of equal width, weighted by their images.

    Args:
        logits: float (N, classes).
        labels: int (N,).
    """
    log_probabilities = log_softmax(logits.astype(float), axis=1)
    confidences = np.exp(log_probabilities.max(axis=1))
    hits = logits.argmax(axis=1) == labels
    gaps, _, _ = binned_statistic(confidences, hits - confidences, "sum", CALIBRATION_BINS, (0, 1))
    return {
        "accuracy": 100 * hits.mean().item(),
        "loss": -log_probabilities[np.arange(len(labels)), labels].mean().item(),
        "expected_calibration_error": np.abs(gaps).sum().item() / len(labels),
    }


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts, int (classes, classes): row the true class, column the predicted one."""
    classes = range(logits.shape[1])
    matrix: np.ndarray = metrics.confusion_matrix(labels, logits.argmax(axis=1), labels=classes)
    return matrix


def summarize_conditions(trial_metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds, a row per condition in the order of the trials.

    Columns: condition, seeds (the number of trials that finished), diverged and failed (those that did
    not), total_params, and for each metric its mean, sd (sample
    standard deviation, NaN with one seed), min and max, as `<metric>_mean` and so on.

    Args:
        trial_metrics: A row per trial: condition, seed, key, status, total_params and metrics, NaN
            where the trial did not finish.
    """
    described = {"condition", "seed", "key", "status", "total_params"}
    metrics = [name for name in trial_metrics.columns if name not in described]
    groups = trial_metrics.groupby("condition", sort=False)
    spread = groups[metrics].agg(["mean", "std", "min", "max"]).rename(columns={"std": "sd"}, level=1)
    spread.columns = ["_".join(names) for names in spread.columns]
    fates = {
        column: groups["status"].agg(lambda fates, status=status: (fates == status).sum())
        for column, status in {
            "seeds": "finished",
            "diverged": "diverged",
            "failed": "failed",
        }.items()
    }
    sizes = groups["total_params"].max().astype("Int64")
    return pd.DataFrame({**fates, "total_params": sizes}).join(spread).reset_index()
