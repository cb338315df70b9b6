"""The store of trained trials. Whether a stored trial may be reused is decided by `identity`."""

import hashlib
import json
import logging
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import load_file, save_file

from cnn_ablation.training.results import TrainedTrial, summarize_history

logger = logging.getLogger(__name__)

Status = Literal["finished", "diverged", "failed"]
"""How a trial ended."""

MANIFEST = "manifest.json"
PREDICTIONS = "predictions.safetensors"
WEIGHTS = "weights.safetensors"


def trial_key(identity: Mapping[str, Any]) -> str:
    """Hash of all that decides a trial's result: the name of its entry in the store."""
    return _hash(_canonical(identity))[:24]


@dataclass(frozen=True)
class StoredTrial:
    """An entry of the store: a folder with a manifest, predictions and weights."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def key(self) -> str:
        """The name of the entry."""
        return self.folder.name

    @property
    def identity(self) -> dict[str, Any]:
        """All that decided the result."""
        identity: dict[str, Any] = self.manifest["identity"]
        return identity

    @property
    def history(self) -> list[dict[str, float]]:
        """A row per epoch, as `results.TrainedTrial` has it."""
        history: list[dict[str, float]] = self.manifest["history"]
        return history

    @property
    def status(self) -> Status:
        """Finished, or diverged where the loss was not finite any more."""
        return "finished" if math.isfinite(self.history[-1]["train_loss"]) else "diverged"

    @property
    def metrics(self) -> dict[str, float]:
        """What `results.summarize_history` makes of the history, and total_params.

        A training that diverged has no final values: all but total_params are NaN.
        """
        summary = summarize_history(self.history)
        if self.status == "diverged":
            summary = dict.fromkeys(summary, math.nan)
        return {**summary, "total_params": self.manifest["total_params"]}

    def validation_logits(self) -> np.ndarray:
        """Logits of the validation images after the last epoch, float32 (N, classes)."""
        logits: np.ndarray = load_file(self.folder / PREDICTIONS)["logits"]
        return logits

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and buffers of the trained network, by name."""
        weights: dict[str, np.ndarray] = load_file(self.folder / WEIGHTS)
        return weights


class TrialStore:
    """A folder of trials, each whole or absent, whoever else reads it, writes to it or is killed.

    Entries are folders named by their keys. Names that begin with a dot are not entries: `.unfinished-…`
    is being written or was cut short, `.damaged-…` did not match its checksums. Files are none of the
    store's.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __iter__(self) -> Iterator[str]:
        """The keys of all entries, whole or not."""
        if self.root.is_dir():
            for folder in sorted(self.root.iterdir()):
                if folder.is_dir() and not folder.name.startswith("."):
                    yield folder.name

    def entries(self) -> list[StoredTrial]:
        """All entries that are whole, as `get` gives them."""
        return [entry for key in self if (entry := self.get(key)) is not None]

    def leftovers(self) -> list[Path]:
        """What was left unfinished or set aside as damaged."""
        return sorted([*self.root.glob(".unfinished-*"), *self.root.glob(".damaged-*")])

    def fetch(self, key: str) -> StoredTrial:
        """The entry of that key, as `get` gives it.

        Raises:
            LookupError: There is none.
        """
        stored = self.get(key)
        if stored is None:
            raise LookupError(
                f"trial {key} is not in {self.root}: run the training stage of its experiment again"
            )
        return stored

    def get(self, key: str) -> StoredTrial | None:
        """The entry of that key, if there is one and every byte of it is what was written.

        One that is not is set aside with a warning, and counts as absent.
        """
        folder = self.root / key
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            sealed = {name: value for name, value in manifest.items() if name != "seal"}
            whole = manifest["seal"] == _hash(_canonical(sealed)) and all(
                _hash((folder / name).read_bytes()) == digest
                for name, digest in manifest["sha256"].items()
            )
        except FileNotFoundError:
            if not folder.exists():
                return None
            whole = False
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if whole:
            return StoredTrial(folder, manifest)
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=f".damaged-{key}-"))
        folder.replace(aside)
        logger.warning(
            "Trial %s in the store was truncated or altered: it is set aside as %s and does not count.",
            key,
            aside.name,
        )
        return None

    def put(self, key: str, identity: Mapping[str, Any], trained: TrainedTrial) -> StoredTrial:
        """Keep a trained trial: written beside the entries first, then moved there whole."""
        self.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix=".unfinished-"))
        save_file({"logits": trained.validation_logits}, folder / PREDICTIONS)
        save_file(trained.weights, folder / WEIGHTS)
        manifest = {
            "identity": dict(identity),
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": source_commit(),
            "total_params": trained.total_params,
            "history": trained.history,
            "sha256": {name: _hash((folder / name).read_bytes()) for name in (PREDICTIONS, WEIGHTS)},
        }
        manifest["seal"] = _hash(_canonical(manifest))
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        try:
            folder.replace(self.root / key)
        except OSError:
            # Another run has put the same trial there meanwhile: the same bits.
            shutil.rmtree(folder)
        return StoredTrial(self.root / key, manifest)

    def remove(self, key: str) -> None:
        """Delete an entry, at once for whoever looks for it."""
        doomed = Path(tempfile.mkdtemp(dir=self.root, prefix=".unfinished-"))
        (self.root / key).replace(doomed)
        shutil.rmtree(doomed)


@cache
def source_commit() -> str | None:
    """The commit of the checkout that holds this code, `-dirty` if files differ, or None outside one.

    It is kept for the record and takes no part in the identity.
    """
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
