"""The store of trained trials. Each is stored under the hash of its identity; see `identity`."""

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
    """Hash of a trial's identity: the name of its entry in the store."""
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
        """Everything that determined the result; see `identity.identify`."""
        identity: dict[str, Any] = self.manifest["identity"]
        return identity

    @property
    def history(self) -> list[dict[str, float]]:
        """A row per epoch; see `results.TrainedTrial`."""
        history: list[dict[str, float]] = self.manifest["history"]
        return history

    @property
    def status(self) -> Status:
        """`finished`, or `diverged` if the last training loss is not finite."""
        return "finished" if math.isfinite(self.history[-1]["train_loss"]) else "diverged"

    @property
    def metrics(self) -> dict[str, float]:
        """The summary of the history by `results.summarize_history`, and total_params.

        If the training diverged, all metrics except total_params are NaN.
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
    """A folder of trials, which several processes can use at once.

    An entry is either complete or absent, even if a process is killed while it writes. Entries are
    folders named by their keys. Folders whose names begin with a dot are not entries: `.unfinished-…` is
    being written or was interrupted, `.damaged-…` did not match its checksums. Plain files are ignored.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __iter__(self) -> Iterator[str]:
        """The keys of all entries, whose checksums are not verified."""
        if self.root.is_dir():
            for folder in sorted(self.root.iterdir()):
                if folder.is_dir() and not folder.name.startswith("."):
                    yield folder.name

    def entries(self) -> list[StoredTrial]:
        """All entries that match their checksums; see `get`."""
        return [entry for key in self if (entry := self.get(key)) is not None]

    def leftovers(self) -> list[Path]:
        """Folders that were left unfinished or set aside as damaged."""
        return sorted([*self.root.glob(".unfinished-*"), *self.root.glob(".damaged-*")])

    def fetch(self, key: str) -> StoredTrial:
        """The entry with this key; see `get`.

        Raises:
            LookupError: There is no such entry.
        """
        stored = self.get(key)
        if stored is None:
            raise LookupError(
                f"trial {key} is not in {self.root}: run the training stage of its experiment again"
            )
        return stored

    def get(self, key: str) -> StoredTrial | None:
        """The entry with this key, or None.

        All files are verified by checksums. An entry that does not match them is set aside with a
        warning and counts as absent.
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
        """Store a trained trial. It is written to a temporary folder, which is then renamed."""
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
            # Another run has stored the same trial meanwhile, with the same bits.
            shutil.rmtree(folder)
        return StoredTrial(self.root / key, manifest)

    def remove(self, key: str) -> None:
        """Delete an entry. Other processes see it either complete or not at all."""
        doomed = Path(tempfile.mkdtemp(dir=self.root, prefix=".unfinished-"))
        (self.root / key).replace(doomed)
        shutil.rmtree(doomed)


@cache
def source_commit() -> str | None:
    """The commit of the checkout that contains this code, with `-dirty` if files differ from it.

    None outside of a checkout. The commit is provenance and not part of the identity.
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
