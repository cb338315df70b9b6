"""What datasets of this project have in common."""

from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset

Loaded = TypeVar("Loaded")


class ReadOnlyDataset(AbstractDataset[None, Loaded], Generic[Loaded]):
    """What runs only read."""

    def save(self, data: None) -> None:
        """Not possible."""
        raise NotImplementedError(f"{type(self).__name__} is only read.")


class FolderDataset(ReadOnlyDataset[Loaded]):
    """What is read from a folder, its `_path`."""

    _path: Path

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}

    def _exists(self) -> bool:
        return self._path.is_dir()
