"""The metrics of a trial, from its measurements."""

import math
from dataclasses import replace

import pytest

from cnn_ablation.training.results import METRICS, Measurements, summarize


def row(epoch: int, train_accuracy: float, val_accuracy: float) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": train_accuracy,
        "val_loss": 2 / epoch,
        "val_accuracy": val_accuracy,
        "seconds": float(epoch),
        "compute_seconds": epoch / 2,
    }


MEASURED = Measurements(
    history=[row(1, 70, 75), row(2, 82, 80), row(3, 90, 86), row(4, 91, 85)],
    moments=[
        {"val_loss": 2.0, "val_accuracy": 82.0},
        {"val_loss": 1.0, "val_accuracy": 84.0},
        {"val_loss": 1.0, "val_accuracy": 83.0},
        {"val_loss": 0.5, "val_accuracy": 85.0},
    ],
    fit={"train_loss": 0.2, "train_accuracy": 94.0, "seconds_per_image": 0.00025},
    total_params=1234,
    activations=512,
)


def test_the_summary_of_a_trial() -> None:
    expected = {
        "mean_val_accuracy": 83.5,
        "mean_val_loss": 1.125,
        # Squared distances from the mean: 2.25, 0.25, 0.25 and 2.25, over 3 degrees of freedom.
        "val_accuracy_spread": math.sqrt(5 / 3),
        # Neighbours' means are 1.5 and 0.75, at distances of 0.5 and 0.25.
        "val_loss_roughness": 0.375,
        "eval_train_accuracy": 94,
        "eval_train_loss": 0.2,
        "generalization_gap": 9,
        "final_train_loss": 0.25,
        "final_train_accuracy": 91,
        "final_val_loss": 0.5,
        "final_val_accuracy": 85,
        "best_val_accuracy": 86,
        "best_epoch": 3,
        "first_val_accuracy": 75,
        "epochs_to_80": 2,
        "epochs_to_90": math.nan,
        "overfitting_gap": 6,
        "seconds_per_epoch": 2.5,
        "compute_seconds_per_epoch": 1.25,
        "inference_us": 250,
        "total_params": 1234,
        "activation_kib": 2,
    }
    summary = summarize(MEASURED)
    assert tuple(summary) == METRICS
    assert summary == pytest.approx(expected, nan_ok=True)


def test_metrics_that_one_moment_does_not_have() -> None:
    summary = summarize(replace(MEASURED, moments=MEASURED.moments[-1:]))
    assert summary["mean_val_accuracy"] == summary["final_val_accuracy"]
    assert summary["mean_val_loss"] == summary["final_val_loss"]
    assert math.isnan(summary["val_accuracy_spread"])
    assert math.isnan(summary["val_loss_roughness"])
