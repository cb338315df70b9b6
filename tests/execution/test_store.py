"""The trial store keeps complete entries or none."""

import logging
from pathlib import Path

import numpy as np
import pytest

from cnn_ablation.execution.store import TrialStore, trial_key
from cnn_ablation.training.results import TrainedTrial

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
    weights={"output.weight": np.array([1.0, 2.0, 3.0]), "count": np.array(7)},
)


def test_an_entry_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials")
    assert store.get("key") is None
    store.put("key", {"seed": 0}, TRAINED)
    stored = store.get("key")
    assert stored is not None
    assert stored.history == TRAINED.history
    assert stored.metrics["final_val_accuracy"] == 71.5
    assert stored.metrics["total_params"] == 3
    assert (stored.validation_logits() == TRAINED.validation_logits).all()
    assert stored.weights()["output.weight"].tolist() == [1.0, 2.0, 3.0]
    assert stored.weights()["count"] == 7
    assert stored.manifest["identity"] == {"seed": 0}


def test_an_existing_entry_is_not_overwritten(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put("key", {"seed": 0}, TRAINED)
    store.put("key", {"seed": 0}, TRAINED)
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("file", ["manifest.json", "predictions.safetensors", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_a_damaged_entry_is_set_aside_and_not_used(
    tmp_path: Path,
    file: str,
    damage: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # If an earlier test loaded conf/logging.yml, messages do not reach the root logger.
    monkeypatch.setattr(logging.getLogger("cnn_ablation"), "propagate", True)
    store = TrialStore(tmp_path)
    store.put("key", {"seed": 0}, TRAINED)
    victim = tmp_path / "key" / file
    content = victim.read_bytes()
    if damage == "missing":
        victim.unlink()
    else:
        middle = len(content) // 2
        altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        victim.write_bytes(content[:middle] if damage == "truncated" else altered)
    assert store.get("key") is None
    assert "truncated or altered" in caplog.text
    assert list(store) == []
    assert [folder.name[:12] for folder in store.leftovers()] == [".damaged-key"]
    store.put("key", {"seed": 0}, TRAINED)
    assert store.get("key") is not None


def test_an_interrupted_write_leaves_no_entry(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-x").mkdir()
    store = TrialStore(tmp_path)
    assert list(store) == []
    assert len(store.leftovers()) == 1


def test_plain_files_in_the_folder_are_ignored(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put("key", {"seed": 0}, TRAINED)
    for name in ("notes.txt", ".DS_Store"):
        (tmp_path / name).touch()
    assert [entry.key for entry in store.entries()] == ["key"]
    assert store.leftovers() == []


def test_an_entry_can_be_removed(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put("key", {"seed": 0}, TRAINED)
    store.remove("key")
    assert store.get("key") is None
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_training_has_no_final_values(tmp_path: Path) -> None:
    history = [TRAINED.history[0] | {"train_loss": float("nan")}]
    diverged = TrainedTrial(history, 3, TRAINED.validation_logits, TRAINED.weights)
    TrialStore(tmp_path).put("key", {}, diverged)
    stored = TrialStore(tmp_path).get("key")
    assert stored is not None
    assert stored.status == "diverged"
    assert np.isnan(stored.metrics["final_val_accuracy"])
    assert stored.metrics["total_params"] == 3


def test_the_key_does_not_depend_on_the_order_of_settings() -> None:
    assert trial_key({"a": 1, "b": 2}) == trial_key({"b": 2, "a": 1})
    assert trial_key({"a": 1, "b": 2}) != trial_key({"a": 1, "b": 3})
