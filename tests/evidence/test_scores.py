"""Scores, checked against values computed by hand."""

import numpy as np
import pandas as pd
import pytest

from cnn_ablation.evidence.scores import confusion_matrix, score, summarize_conditions

# Confidences 0.8, 0.6, 0.9 and 0.7; right, wrong, right, right.
PROBABILITIES = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.7, 0.3]], dtype=np.float32)
LABELS = np.array([0, 1, 1, 0])


def test_scores_equal_those_computed_by_hand() -> None:
    scores = score(np.log(PROBABILITIES), LABELS)
    assert scores["accuracy"] == 75.0
    right = np.array([0.8, 0.4, 0.9, 0.7])
    assert scores["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-6)
    # Each confidence is alone in its bin, so the gaps are 0.2, 0.6, 0.1 and 0.3.
    assert scores["expected_calibration_error"] == pytest.approx(1.2 / 4, rel=1e-5)


def test_confusion_matrix_has_a_row_per_true_class() -> None:
    assert confusion_matrix(np.log(PROBABILITIES), LABELS).tolist() == [[2, 0], [1, 1]]


def test_conditions_are_summarized_over_seeds_in_the_order_of_the_trials() -> None:
    trials = pd.DataFrame(
        {
            "condition": ["b", "b", "b", "a"],
            "seed": [0, 1, 2, 0],
            "key": ["w", "x", "y", "z"],
            "status": "finished",
            "total_params": [5, 5, 5, 7],
            "final_val_accuracy": [90.0, 91.0, 92.0, 80.0],
        }
    )
    summary = summarize_conditions(trials)
    assert summary["condition"].tolist() == ["b", "a"]
    assert summary["seeds"].tolist() == [3, 1]
    assert summary["total_params"].tolist() == [5, 7]
    assert summary["final_val_accuracy_mean"].tolist() == [91.0, 80.0]
    assert summary.loc[0, "final_val_accuracy_sd"] == pytest.approx(1.0)
    assert np.isnan(summary.loc[1, "final_val_accuracy_sd"])
    assert summary.loc[0, ["final_val_accuracy_min", "final_val_accuracy_max"]].tolist() == [90, 92]


def test_unfinished_trials_are_counted_but_not_part_of_the_mean() -> None:
    trials = pd.DataFrame(
        {
            "condition": ["a", "a", "a", "b"],
            "seed": [0, 1, 2, 0],
            "key": ["w", "x", "y", "z"],
            "status": ["finished", "diverged", "failed", "failed"],
            "total_params": [5.0, 5.0, np.nan, np.nan],
            "final_val_accuracy": [90.0, np.nan, np.nan, np.nan],
        }
    )
    summary = summarize_conditions(trials).set_index("condition")
    assert summary.loc["a", ["seeds", "diverged", "failed"]].tolist() == [1, 1, 1]
    assert summary.loc["a", "final_val_accuracy_mean"] == 90.0
    assert summary.loc["b", ["seeds", "diverged", "failed"]].tolist() == [0, 0, 1]
    assert pd.isna(summary.loc["b", "total_params"])


def test_a_metric_that_finished_trials_lack_has_no_mean() -> None:
    """Means of the seeds that reach an accuracy would make slow conditions look fast."""
    trials = pd.DataFrame(
        {
            "condition": ["slow"] * 3 + ["fast"] * 3,
            "seed": [0, 1, 2] * 2,
            "key": list("uvwxyz"),
            "status": ["finished"] * 5 + ["diverged"],
            "total_params": 5.0,
            "epochs_to_90": [3.0, 4.0, np.nan, 6.0, 8.0, np.nan],
        }
    )
    summary = summarize_conditions(trials).set_index("condition")["epochs_to_90_mean"]
    assert np.isnan(summary["slow"])
    assert summary["fast"] == 7.0
