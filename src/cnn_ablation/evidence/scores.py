"""Scores of a trial's predictions, and their summary per condition."""

import numpy as np
import pandas as pd
import sklearn.metrics
from scipy.special import log_softmax
from scipy.stats import binned_statistic

from cnn_ablation.evidence.measuring import mask_partial

CALIBRATION_BINS = 15
"""Number of bins, as in Guo et al. (2017)."""


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy (percent), loss (mean cross-entropy, nats) and expected calibration error (0 to 1).

    The calibration error (Guo et al., "On calibration of modern neural networks", 2017) is the mean
    distance between confidence and accuracy over bins of equal width, weighted by the number of images.

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
    """Counts of images, int (classes, classes): a row per true and a column per predicted class."""
    classes = range(logits.shape[1])
    matrix: np.ndarray = sklearn.metrics.confusion_matrix(labels, logits.argmax(axis=1), labels=classes)
    return matrix


def summarize_conditions(trial_metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds, with a row per condition in the order of the trials.

    Args:
        trial_metrics: A row per trial: condition, seed, key, status, processor, total_params and
            metrics. Metrics of trials that did not finish are NaN.

    Returns:
        Columns: condition; seeds, diverged and failed (numbers of trials with this end); total_params;
        for each metric `<metric>_mean`, `_sd` (sample standard deviation, NaN with one seed), `_min` and
        `_max`. They are NaN if a finished trial has no value; see `measuring.mask_partial`.
    """
    described = {"condition", "seed", "key", "status", "processor", "total_params"}
    metrics = [name for name in trial_metrics.columns if name not in described]
    groups = trial_metrics.groupby("condition", sort=False)
    spread = (
        mask_partial(trial_metrics[metrics], trial_metrics)
        .groupby(trial_metrics["condition"], sort=False)
        .agg(["mean", "std", "min", "max"])
        .rename(columns={"std": "sd"}, level=1)
    )
    spread.columns = ["_".join(names) for names in spread.columns]
    counts = {
        column: groups["status"].agg(lambda statuses, status=status: (statuses == status).sum())
        for column, status in {
            "seeds": "finished",
            "diverged": "diverged",
            "failed": "failed",
        }.items()
    }
    sizes = groups["total_params"].max().astype("Int64")
    return pd.DataFrame({**counts, "total_params": sizes}).join(spread).reset_index()
