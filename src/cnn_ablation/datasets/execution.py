"""The trial store, and the engine that trains trials."""

from pathlib import Path
from typing import Any

from cnn_ablation.datasets.base import FolderDataset, ReadOnlyDataset


class TrialStoreDataset(FolderDataset[Any]):
    """The store of trained trials. Loading gives the store itself, which nodes read and add to.

    Args:
        path: Folder of the store.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> Any:
        """A `store.TrialStore`."""
        from cnn_ablation.execution.store import TrialStore

        return TrialStore(self._path)


class EngineDataset(ReadOnlyDataset[Any]):
    """The cluster that trials run on. Each load of a session gives the same one.

    Args:
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._engine: Any = None

    def load(self) -> Any:
        """An `engine.Engine`, which starts workers when there is something to train."""
        if self._engine is None:
            from cnn_ablation.execution.engine import Engine
            from cnn_ablation.execution.progress import StudyProgress

            self._engine = Engine(StudyProgress())
        return self._engine

    def _describe(self) -> dict[str, Any]:
        return {}
