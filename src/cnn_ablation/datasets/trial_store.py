"""The store of trained trials."""

from pathlib import Path
from typing import Any

from cnn_ablation.datasets.base import FolderDataset


class TrialStoreDataset(FolderDataset[Any]):
    """The store of trained trials. Nodes read trials from it and add new ones.

    Args:
        path: Folder of the store.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> Any:
        """Return an `execution.store.TrialStore`."""
        from cnn_ablation.execution.store import TrialStore

        return TrialStore(self._path)
