"""Base classes of datasets."""

from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class FileDataset(AbstractDataset[Saved, Loaded], Generic[Saved, Loaded]):
    """A dataset in one file.

    Args:
        filepath: The file.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return self._filepath.is_file()


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
