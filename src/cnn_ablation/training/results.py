"""The result of a training, and its metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from statistics import median

import numpy as np


@dataclass(frozen=True)
class Measurements:
    """The numbers that were measured during a training and after it.

    Losses are mean cross-entropies in nats, without label smoothing. Accuracies are top-1, in percent.
    If weights are averaged, evaluations use the average as soon as it exists.

    Args:
        history: A row per epoch: epoch (from 1), train_loss and train_accuracy (over the epoch's images
            during training, with dropout), val_loss and val_accuracy (at the end of the epoch, in
            evaluation mode), seconds, and compute_seconds: the processor time of the training thread on
            a CPU, which does not depend on what else the machine does, and equal to seconds elsewhere.
            Both are times of training and one evaluation.
        moments: A row per moment of the last epoch, the last of which is its end: val_loss and
            val_accuracy. One row if an average of weights exists only at the end.
        fit: Evaluation of the training images after the last epoch, in evaluation mode: train_loss,
            train_accuracy, and seconds_per_image, in the sense of compute_seconds.
        total_params: Number of trainable parameters.
        activations: Number of activations that all layers put out for one image.
    """

    history: list[dict[str, float]]
    moments: list[dict[str, float]]
    fit: dict[str, float]
    total_params: int
    activations: int


@dataclass(frozen=True)
class TrainedTrial:
    """The result of a training.

    Args:
        measurements: All measured numbers.
        validation_hits: Whether each validation image was classified correctly at each moment, bool
            (moments, N).
        validation_logits: Logits of the last moment, float32 (N, classes).
        weights: The parameters and buffers of the network, or of its average, by name.
        processor: Name of the processor that trained; see `provenance.processor_name`.
    """

    measurements: Measurements
    validation_hits: np.ndarray
    validation_logits: np.ndarray
    weights: dict[str, np.ndarray]
    processor: str


HISTORY = (
    *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *("seconds", "compute_seconds"),
)
"""Columns of a history."""

FIT = ("train_loss", "train_accuracy", "seconds_per_image")
"""Entries of a fit."""

METRICS = (
    *("mean_val_accuracy", "mean_val_loss", "val_accuracy_spread", "val_loss_roughness"),
    *("eval_train_accuracy", "eval_train_loss", "generalization_gap"),
    *("final_train_loss", "final_train_accuracy", "final_val_loss", "final_val_accuracy"),
    *("best_val_accuracy", "best_epoch", "first_val_accuracy", "epochs_to_80", "epochs_to_90"),
    *("overfitting_gap", "seconds_per_epoch", "compute_seconds_per_epoch", "inference_us"),
    *("total_params", "activation_kib"),
)
"""Metrics that `summarize` returns, in order."""

EXACT = ("total_params", "activation_kib")
"""Metrics that do not depend on the seed. They are known even if the training diverged."""


def summarize(measurements: Measurements) -> dict[str, float]:
    """The metrics of a trial.

    Returns:
        By name:

        - mean_val_accuracy, mean_val_loss: means over the moments of the last epoch. They have the
          expectation of the last value and a fraction of its noise.
        - val_accuracy_spread: standard deviation over these moments, points; NaN with one moment.
        - val_loss_roughness: mean distance, in nats, of a moment's validation loss from the mean of its
          two neighbours' losses; NaN with fewer than three moments.
        - eval_train_accuracy, eval_train_loss: of the training images, in evaluation mode, after the
          last epoch.
        - generalization_gap: eval_train_accuracy minus final_val_accuracy, points. Both belong to the
          same weights.
        - final_train_loss, final_train_accuracy, final_val_loss, final_val_accuracy: values of the last
          epoch's row of the history.
        - best_val_accuracy, best_epoch: of the best epoch, the first one of equally good epochs. The
          accuracy is biased upward.
        - first_val_accuracy: validation accuracy after the first epoch.
        - epochs_to_80, epochs_to_90: first epoch whose validation accuracy reaches 80 or 90 %, or NaN.
        - overfitting_gap: final_train_accuracy minus final_val_accuracy, points. This is the published
          journal's definition. Its training accuracy is an average over an epoch with dropout.
        - seconds_per_epoch, compute_seconds_per_epoch: medians over epochs, s.
        - inference_us: time per image in evaluation mode, in batches, microseconds.
        - total_params; activation_kib: size of all layers' outputs for one image in fp32, KiB.
    """
    history, moments, fit = measurements.history, measurements.moments, measurements.fit
    final = history[-1]
    best = max(history, key=lambda row: row["val_accuracy"])
    accuracies = [row["val_accuracy"] for row in moments]
    losses = [row["val_loss"] for row in moments]
    return {
        "mean_val_accuracy": float(np.mean(accuracies)),
        "mean_val_loss": float(np.mean(losses)),
        "val_accuracy_spread": float(np.std(accuracies, ddof=1)) if len(moments) > 1 else nan,
        "val_loss_roughness": _roughness(losses),
        "eval_train_accuracy": fit["train_accuracy"],
        "eval_train_loss": fit["train_loss"],
        "generalization_gap": fit["train_accuracy"] - final["val_accuracy"],
        **{
            f"final_{name}": final[name]
            for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        },
        "best_val_accuracy": best["val_accuracy"],
        "best_epoch": best["epoch"],
        "first_val_accuracy": history[0]["val_accuracy"],
        "epochs_to_80": _first_epoch(history, 80),
        "epochs_to_90": _first_epoch(history, 90),
        "overfitting_gap": final["train_accuracy"] - final["val_accuracy"],
        "seconds_per_epoch": median(row["seconds"] for row in history),
        "compute_seconds_per_epoch": median(row.get("compute_seconds", nan) for row in history),
        "inference_us": 1e6 * fit["seconds_per_image"],
        "total_params": measurements.total_params,
        "activation_kib": 4 * measurements.activations / 1024,
    }


def _first_epoch(history: Sequence[dict[str, float]], accuracy: float) -> float:
    reached = (row["epoch"] for row in history if row["val_accuracy"] >= accuracy)
    return next(reached, nan)


def _roughness(values: Sequence[float]) -> float:
    return float(np.abs(np.diff(values, n=2)).mean() / 2) if len(values) > 2 else nan
