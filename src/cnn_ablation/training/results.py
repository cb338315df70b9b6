"""What a trained trial leaves behind."""

from dataclasses import dataclass
from statistics import median

import numpy as np


@dataclass(frozen=True)
class TrainedTrial:
    """What a training leaves behind.

    `history` has a row per epoch: epoch (from 1), train_loss and train_accuracy (means over the
    epoch's batches as they were trained on, dropout included), val_loss and val_accuracy (at its end,
    in evaluation mode), seconds. Losses are mean cross-entropies in nats, accuracies top-1 in percent.
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
"""What `summarize_history` returns, in its order."""


def summarize_history(history: list[dict[str, float]]) -> dict[str, float]:
    """Final and best values of a training, as the journal tracks them.

    `epochs_to_80` is the first epoch whose validation accuracy reaches 80 %, NaN where none does;
    `overfitting_gap` is final training minus final validation accuracy, points. Of equal best epochs
    the first counts. The best of several epochs is an optimistic estimate. `val_loss_roughness` is how
    far the validation loss of an epoch lies, on average, from the middle of its neighbours', nats; NaN
    of fewer than three epochs.
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
