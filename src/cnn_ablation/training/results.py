"""The result of a training, and its summary."""

from dataclasses import dataclass
from statistics import median

import numpy as np


@dataclass(frozen=True)
class TrainedTrial:
    """The result of a training.

    `history` has a row per epoch: epoch (from 1), train_loss and train_accuracy (over the epoch's images
    during training, with dropout), val_loss and val_accuracy (at the end of the epoch, in evaluation
    mode), and seconds. Losses are mean cross-entropies in nats. Accuracies are top-1, in percent.
    `validation_logits` are those of the last epoch, (N, classes). `weights` are the network's parameters
    and buffers by name.
    """

    history: list[dict[str, float]]
    total_params: int
    validation_logits: np.ndarray
    weights: dict[str, np.ndarray]


HISTORY = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
"""Columns of a history."""

METRICS = (
    *("final_train_loss", "final_train_accuracy", "final_val_loss", "final_val_accuracy"),
    *("best_val_accuracy", "best_epoch", "epochs_to_80", "overfitting_gap", "val_loss_roughness"),
    "seconds_per_epoch",
)
"""Metrics that `summarize_history` returns, in order."""


def summarize_history(history: list[dict[str, float]]) -> dict[str, float]:
    """Final and best values of a training, most of which the published journal tracked.

    `best_epoch` is the first of equally good epochs. The accuracy of the best epoch is biased upward.
    `epochs_to_80` is the first epoch whose validation accuracy reaches 80 %, or NaN. `overfitting_gap`
    is the final training accuracy minus the final validation accuracy, in points. `val_loss_roughness`
    is the mean distance, in nats, of an epoch's validation loss from the mean of its two neighbours'
    losses; NaN with fewer than three epochs.
    """
    final = history[-1]
    best = max(history, key=lambda row: row["val_accuracy"])
    reached = (row["epoch"] for row in history if row["val_accuracy"] >= 80)
    return {
        **{
            f"final_{name}": final[name]
            for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
        },
        "best_val_accuracy": best["val_accuracy"],
        "best_epoch": best["epoch"],
        "epochs_to_80": next(reached, float("nan")),
        "overfitting_gap": final["train_accuracy"] - final["val_accuracy"],
        "val_loss_roughness": _roughness([row["val_loss"] for row in history]),
        "seconds_per_epoch": median(row["seconds"] for row in history),
    }


def _roughness(values: list[float]) -> float:
    return float(np.abs(np.diff(values, n=2)).mean() / 2) if len(values) > 2 else float("nan")
