"""Trials that have been trained, kept by all that decides their results."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

from cnn_ablation.results import TrainedTrial, summarize_history

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where weights are read or written: the store's type is part of node signatures,
# which every command reads.


def trial_key(identity: Mapping[str, Any]) -> str:
    """Hash of all that decides a trial's result: the name of its entry in the store."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class StoredTrial:
    """An entry of the store: a folder with a manifest, predictions and weights."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Identity, when it was trained, metrics and history of the trial."""
        manifest: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return manifest

    @property
    def history(self) -> list[dict[str, float]]:
        """A row per epoch, as `training.TrainedTrial` has it."""
        history: list[dict[str, float]] = self.manifest["history"]
        return history

    @property
    def metrics(self) -> dict[str, float]:
        """Final and best values, as `training.summarize_history` has them, and total_params."""
        return {
            **summarize_history(self.history),
            "total_params": self.manifest["total_params"],
        }

    def validation_logits(self) -> np.ndarray:
        """Logits of the validation images after the last epoch, float32 (N, classes)."""
        logits: np.ndarray = load_file(self.folder / "predictions.safetensors")["logits"]
        return logits

    def weights(self) -> "dict[str, Tensor]":
        """Parameters and buffers of the trained network, by name."""
        from safetensors.torch import load_file as load_tensors

        weights: dict[str, Tensor] = load_tensors(self.folder / "weights.safetensors")
        return weights


class TrialStore:
    """A folder of trials, each complete or absent, whoever else writes to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> StoredTrial | None:
        """The entry of that key, if there is one."""
        entry = StoredTrial(self.root / key)
        return entry if (entry.folder / "manifest.json").is_file() else None

    def put(self, key: str, identity: Mapping[str, Any], trained: TrainedTrial) -> StoredTrial:
        """Keep a trained trial: written beside the entries first, then moved there whole."""
        from safetensors.torch import save_file as save_tensors

        self.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix=".new-"))
        save_file({"logits": trained.validation_logits}, folder / "predictions.safetensors")
        save_tensors(trained.weights, folder / "weights.safetensors")
        manifest = {
            "identity": identity,
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "total_params": trained.total_params,
            "history": trained.history,
            "sha256": {
                file.name: hashlib.sha256(file.read_bytes()).hexdigest()
                for file in sorted(folder.iterdir())
            },
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        try:
            folder.replace(self.root / key)
        except OSError:
            # Another run has put the same trial there meanwhile: the same bits.
            shutil.rmtree(folder)
        return StoredTrial(self.root / key)
