"""Nodes of evaluation."""

from pathlib import Path

import pandas as pd
import pytest

from cnn_ablation.execution.store import TrialStore
from cnn_ablation.pipelines.evaluation.nodes import (
    choose_final_model,
    collect_histories,
    score_classes,
)


def test_class_accuracy_is_the_diagonal_by_rows() -> None:
    confusion = pd.DataFrame(
        {
            "condition": ["b", "b", "a", "a"],
            "seed": [0, 0, 0, 0],
            "true_class": ["dog", "cat", "dog", "cat"],
            "dog": [3, 1, 4, 0],
            "cat": [1, 3, 0, 4],
        }
    )
    accuracy = score_classes(confusion)
    assert accuracy["condition"].tolist() == ["b", "a"]
    assert accuracy[["dog", "cat"]].to_numpy().tolist() == [[75.0, 75.0], [100.0, 100.0]]


def test_the_final_model_is_chosen_by_the_mean_first() -> None:
    trials = pd.DataFrame(
        {
            "condition": ["a", "a", "b", "b"],
            "seed": [0, 1, 0, 1],
            "key": ["k0", "k1", "k2", "k3"],
            "final_val_accuracy": [95.0, 85.0, 91.0, 92.0],
        }
    )
    summary = pd.DataFrame({"condition": ["a", "b"], "final_val_accuracy_mean": [90.0, 91.5]})
    assert choose_final_model(trials, summary) == {
        "condition": "b",
        "seed": 1,
        "key": "k3",
        "validation_accuracy": 92.0,
    }


def test_a_trial_that_is_gone_from_the_store_is_named(tmp_path: Path) -> None:
    runs = pd.DataFrame({"condition": ["a"], "seed": [0], "key": ["k0"], "status": ["finished"]})
    with pytest.raises(LookupError, match=r"trial k0 is not in .*run the training stage"):
        collect_histories(runs, TrialStore(tmp_path))
