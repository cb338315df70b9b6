"""The store of trained trials. Each is stored under the hash of its identity; see `identity`."""

import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cnn_ablation.errors import StoreError
from cnn_ablation.provenance import source_commit
from cnn_ablation.training.results import EXACT, FIT, Measurements, TrainedTrial, summarize
from cnn_ablation.whole_files import make_folder, sync_file, sync_folder

logger = logging.getLogger(__name__)

Status = Literal["finished", "diverged", "failed"]
"""The ways in which a trial can end."""

MANIFEST = "manifest.json"
PREDICTIONS = "predictions.safetensors"
WEIGHTS = "weights.safetensors"

KEY = re.compile(r"[0-9a-f]{24}")
"""Names of entries, as `trial_key` makes them."""

LEFTOVER = re.compile(rf"\.(unfinished|damaged-{KEY.pattern})-[a-z0-9_]{{8}}")
"""Names of folders that are being written, were interrupted, or were set aside as damaged."""

NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
"""Errors which say that there is no such file. Any other one says that a file cannot be read now."""

PROBE = 2**20
"""Bytes that are written as a test before anything is trained."""


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
        """A row per epoch; see `results.Measurements`."""
        history: list[dict[str, float]] = self.manifest["history"]
        return history

    @cached_property
    def status(self) -> Status:
        """`finished`, or `diverged` if a last loss, a weight or a buffer of the network is not finite.

        All losses can be finite although the variance of a batch normalization is infinite. Such a
        network says the same of every image.
        """
        last = self.history[-1]
        losses = np.array([last["train_loss"], last["val_loss"]])
        values = [losses, *self.weights().values()]
        return "finished" if all(np.isfinite(value).all() for value in values) else "diverged"

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of `results.summarize`. If the training diverged, all but exact ones are NaN."""
        metrics = summarize(self._measurements)
        if self.status == "diverged":
            metrics |= {name: math.nan for name in metrics if name not in EXACT}
        return metrics

    @property
    def _measurements(self) -> Measurements:
        last = self.history[-1]
        # Trials that older versions of this package stored lack some measurements.
        return Measurements(
            history=self.history,
            moments=self.manifest.get("moments", [last]),
            fit=self.manifest.get("fit", dict.fromkeys(FIT, math.nan)),
            total_params=self.manifest["total_params"],
            activations=self.manifest.get("activations", math.nan),
        )

    def validation_logits(self) -> np.ndarray:
        """Logits of the validation images after the last epoch, float32 (N, classes)."""
        logits: np.ndarray = load_file(self.folder / PREDICTIONS)["logits"]
        return logits

    def validation_hits(self) -> np.ndarray:
        """Whether each validation image was classified correctly at each moment, bool (moments, N)."""
        hits: np.ndarray = load_file(self.folder / PREDICTIONS)["hits"]
        return hits

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and buffers of the trained network, by name."""
        weights: dict[str, np.ndarray] = load_file(self.folder / WEIGHTS)
        return weights


class TrialStore:
    """A folder of trials, which several processes can use at once.

    An entry is a folder, named by its key. It is either complete or absent, even if a process is killed
    or the power is cut while it writes. `.unfinished-…` is being written or was interrupted.
    `.damaged-…` contains an entry that did not match its checksums. Everything else in the folder is
    ignored.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __iter__(self) -> Iterator[str]:
        """The keys of all entries. Their checksums are not verified.

        Raises:
            StoreError: The folder cannot be read.
        """
        return (path.name for path in self._named(KEY))

    def entries(self) -> list[StoredTrial]:
        """All entries that match their checksums; see `get`."""
        return [entry for key in self if (entry := self.get(key)) is not None]

    def leftovers(self) -> list[Path]:
        """Folders that were left unfinished or set aside as damaged."""
        return [path for path in self._named(LEFTOVER) if path.is_dir() and not path.is_symlink()]

    def remove_leftover(self, folder: Path) -> None:
        """Delete a folder of `leftovers`, unless another process has done so meanwhile.

        Raises:
            StoreError: The folder cannot be deleted.
        """
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if os.path.lexists(folder):
                raise self._fault("removed", error, folder.name) from error

    def _named(self, pattern: re.Pattern[str]) -> list[Path]:
        try:
            return sorted(path for path in self.root.iterdir() if pattern.fullmatch(path.name))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._fault("read", error) from error

    def check_writable(self, keys: Iterable[str] = ()) -> None:
        """Check that the store can be written, by writing a file and removing it.

        Args:
            keys: Keys of trials that will be stored.

        Raises:
            StoreError: The store cannot be written, or a damaged entry with one of the keys cannot be
                set aside.
        """
        try:
            make_folder(self.root)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=".unfinished-") as folder:
                (Path(folder) / "probe").write_bytes(bytes(PROBE))
        except OSError as error:
            raise self._fault("written", error) from error
        for key in keys:
            # Another run may have stored the trial meanwhile.
            if self.get(key) is None and os.path.lexists(self.root / key):
                raise StoreError(
                    f"{self.root / key}, a trial that was truncated or altered, must be trained again, "
                    "but it cannot be set aside. Remove it, then run the same command again"
                )

    def _fault(self, what: str, error: Exception, key: str | None = None) -> StoreError:
        place = self.root if key is None else f"Trial {key} in {self.root}"
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return StoreError(
            f"{place}, the store of trained trials, cannot be {what}: {reason}. Check the folder's "
            "permissions and the free space on its disk, then run the same command again"
        )

    def fetch(self, key: str) -> StoredTrial:
        """The entry with this key; see `get`.

        Raises:
            StoreError: There is no such entry, or it cannot be read.
        """
        stored = self.get(key)
        if stored is None:
            raise StoreError(
                f"Trial {key} is not in {self.root}, the store of trained trials. Run the pipeline of "
                "its experiment without an option that selects nodes, which trains it again"
            )
        return stored

    def get(self, key: str) -> StoredTrial | None:
        """The entry with this key, or None.

        All files are verified by checksums. An entry that does not match them is set aside with a
        warning and counts as absent.

        Raises:
            StoreError: The folder or a file of the entry cannot be read. The entry stays as it is.
        """
        if not KEY.fullmatch(key):
            return None
        folder = self.root / key
        try:
            # lstat does not follow links, so that a broken link counts as an entry too.
            folder.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._fault("read", error) from error
        try:
            manifest = _read_manifest(folder)
        except OSError as error:
            raise self._fault("read", error, key) from error
        if manifest is not None:
            return StoredTrial(folder, manifest)
        try:
            aside = self._move_out(key, f".damaged-{key}-")
        except FileNotFoundError:
            return None  # Another run has set it aside meanwhile.
        except OSError as error:
            logger.warning(
                "Trial %s in the store was truncated or altered. It does not count, but it cannot be "
                "set aside: %s",
                *(key, error.strerror),
            )
            return None
        logger.warning(
            "Trial %s in the store was truncated or altered: it is set aside as %s and does not count.",
            *(key, aside.name),
        )
        return None

    def _move_out(self, key: str, prefix: str) -> Path:
        """Move an entry, which may be any kind of file, into a new folder beside the entries."""
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=prefix))
        try:
            (self.root / key).replace(aside / key)
        except OSError:
            aside.rmdir()
            raise
        return aside

    def put(self, key: str, identity: Mapping[str, Any], trained: TrainedTrial) -> StoredTrial:
        """Store a trained trial. It is written to a temporary folder, and moved when it is on the disk.

        Raises:
            StoreError: The trial cannot be written. No files of it are left.
        """
        try:
            make_folder(self.root)
            with tempfile.TemporaryDirectory(
                dir=self.root, prefix=".unfinished-", ignore_cleanup_errors=True
            ) as temporary:
                # Other users cannot read the temporary folder itself.
                folder = Path(temporary) / key
                folder.mkdir()
                manifest = _write(folder, identity, trained)
                self._move_in(folder, key)
                sync_folder(self.root)
        except (OSError, SafetensorError) as error:
            raise self._fault("written", error) from error
        return StoredTrial(self.root / key, manifest)

    def _move_in(self, folder: Path, key: str) -> None:
        """Rename a folder to the entry with this key, unless another run has stored the same trial."""
        try:
            folder.replace(self.root / key)
        except OSError:
            if self.get(key) is None:
                # There was a damaged entry, which `get` has set aside.
                folder.replace(self.root / key)

    def remove(self, key: str) -> None:
        """Delete an entry. Other processes see it either complete or not at all.

        Raises:
            StoreError: The entry cannot be deleted.
        """
        try:
            shutil.rmtree(self._move_out(key, ".unfinished-"))
        except OSError as error:
            raise self._fault("removed", error, key) from error


def _write(folder: Path, identity: Mapping[str, Any], trained: TrainedTrial) -> dict[str, Any]:
    """Write a trial's files to a folder, wait until they are on the disk, and return its manifest."""
    predictions = {"logits": trained.validation_logits, "hits": trained.validation_hits}
    files = {PREDICTIONS: save(predictions), WEIGHTS: save(trained.weights)}
    for name, content in files.items():
        # Unlike safetensors' `save_file`, whose files only their owner can read, this heeds the umask.
        (folder / name).write_bytes(content)
    manifest = {
        "identity": dict(identity),
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "processor": trained.processor,
        **asdict(trained.measurements),
        "sha256": {name: _hash(content) for name, content in files.items()},
    }
    manifest["seal"] = _hash(_canonical(manifest))
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    for name in (*files, MANIFEST):
        sync_file(folder / name)
    sync_folder(folder)
    return manifest


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an entry, or None if the entry does not match its checksums.

    Raises:
        OSError: A file cannot be read now, which says nothing about its content.
    """
    try:
        manifest: dict[str, Any] = json.loads(_read(folder / MANIFEST))
        sealed = {name: value for name, value in manifest.items() if name != "seal"}
        whole = manifest["seal"] == _hash(_canonical(sealed)) and all(
            _hash(_read(folder / name)) == digest for name, digest in manifest["sha256"].items()
        )
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return manifest if whole else None


def _read(file: Path) -> bytes:
    # Reading a named pipe would block.
    if not stat.S_ISREG(file.stat().st_mode):
        raise ValueError(f"{file} is no file")
    return file.read_bytes()


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
