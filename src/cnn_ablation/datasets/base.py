"""Base classes of datasets."""

from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset

from cnn_ablation.whole_files import write_whole

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class FileDataset(AbstractDataset[Saved, Loaded], Generic[Saved, Loaded]):
    """A dataset in one file, which is replaced as a whole.

    A session reads what it has written itself, even if another run replaces the file meanwhile.

    Args:
        filepath: The file.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata
        self._written: bytes | None = None

    def _write(self, content: bytes) -> None:
        """Replace the file. An interrupted write leaves the previous file as it was."""
        write_whole(self._filepath, lambda path: path.write_bytes(content))
        self._written = content

    def _read(self) -> bytes:
        """The content that this session wrote, or else that of the file."""
        return self._filepath.read_bytes() if self._written is None else self._written

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return self._filepath.exists()


class ReadOnlyDataset(AbstractDataset[None, Loaded], Generic[Loaded]):
    """A dataset that runs read but do not write."""

    def save(self, data: None) -> None:
        """Raise NotImplementedError."""
        raise NotImplementedError(f"{type(self).__name__} is read-only.")


class FolderDataset(ReadOnlyDataset[Loaded]):
    """A dataset that is read from the folder `_path`."""

    _path: Path

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}

    def _exists(self) -> bool:
        return self._path.is_dir()
