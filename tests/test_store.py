"""The trial store: complete entries or none."""

from pathlib import Path

import numpy as np
import torch

from cnn_ablation.results import TrainedTrial
from cnn_ablation.store import TrialStore, trial_key

TRAINED = TrainedTrial(
    history=[
        {
            "epoch": 1,
            "train_loss": 0.9,
            "train_accuracy": 70.0,
            "val_loss": 0.8,
            "val_accuracy": 71.5,
            "seconds": 1.25,
        }
    ],
    total_params=3,
    validation_logits=np.array([[0.1, 0.9], [0.8, 0.2]], dtype=np.float32),
    weights={"output.weight": torch.tensor([1.0, 2.0, 3.0])},
)


def test_gives_back_what_was_put_in(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials")
    assert store.get("key") is None
    store.put("key", {"seed": 0}, TRAINED)
    stored = store.get("key")
    assert stored is not None
    assert stored.history == TRAINED.history
    assert stored.metrics["final_val_accuracy"] == 71.5
    assert stored.metrics["total_params"] == 3
    assert (stored.validation_logits() == TRAINED.validation_logits).all()
    assert torch.equal(stored.weights()["output.weight"], TRAINED.weights["output.weight"])
    assert stored.manifest["identity"] == {"seed": 0}


def test_an_entry_that_is_there_stays(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put("key", {"seed": 0}, TRAINED)
    store.put("key", {"seed": 0}, TRAINED)
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_the_key_depends_on_values_not_on_their_order() -> None:
    assert trial_key({"a": 1, "b": 2}) == trial_key({"b": 2, "a": 1})
    assert trial_key({"a": 1, "b": 2}) != trial_key({"a": 1, "b": 3})
