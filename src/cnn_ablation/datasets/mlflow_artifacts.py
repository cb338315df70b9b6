"""Files that are also artifacts of MLflow's run."""

from typing import Any

from kedro.io import AbstractDataset

from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.workarounds import save_then_track


class MlflowArtifactDataset(AbstractDataset[Any, Any]):
    """kedro-mlflow's dataset of this name, except that the file is written even if MLflow fails.

    Args:
        dataset: The dataset that writes the file, as an entry of the catalog.
        artifact_path: Folder of the file among the artifacts of the active run.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __new__(cls, **arguments: Any) -> Any:
        """Return a dataset of a class of its own, as kedro-mlflow does."""
        from kedro_mlflow.io.artifacts import MlflowArtifactDataset as Tracked

        return save_then_track(Tracked(**arguments), lambda: not tracking.fault, tracking.give_up)

    def load(self) -> Any:
        """Not called: instances are of another class."""
        raise NotImplementedError

    def save(self, data: Any) -> None:
        """Not called: instances are of another class."""
        raise NotImplementedError

    def _describe(self) -> dict[str, Any]:
        raise NotImplementedError
