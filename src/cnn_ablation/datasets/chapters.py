"""The results of an experiment, for the journal and for MLflow."""

import json
import os
from pathlib import Path
from typing import Any

from kedro.io import DatasetError
from kedro_datasets.json import JSONDataset

from cnn_ablation.datasets.files import JSONPreview
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.errors import StudyError
from cnn_ablation.workarounds import TrackingSwitch


class ResultsDataset(JSONDataset):  # type: ignore[misc]
    """The results of an experiment as a JSON file.

    The file refers to the figures by their paths, relative to its folder. Loading reads them.

    Args:
        filepath: The JSON file.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=filepath, metadata=metadata)
        self._folder = Path(filepath).parent

    def save(self, data: dict[str, Any]) -> None:
        """Write the file."""
        figures = {
            name: os.path.relpath(path, self._folder) for name, (path, _) in data["figures"].items()
        }
        super().save({**data, "figures": figures})

    def load(self) -> dict[str, Any] | None:
        """Return the results, or None if the experiment was not run. Missing figures are left out.

        Raises:
            StudyError: The file is damaged, or something else is in its place.
        """
        if not self.exists():
            return None
        try:
            results: dict[str, Any] = super().load()
            paths = {name: self._folder / path for name, path in results["figures"].items()}
        except (DatasetError, LookupError, TypeError, AttributeError) as error:
            reason = error.__cause__ or error
            raise StudyError(
                f"{self._filepath} is damaged ({reason}). Run the experiment again: kedro run "
                f"--pipeline={self._folder.name}"
            ) from None
        figures = {
            name: (path.as_posix(), path.read_bytes()) for name, path in paths.items() if path.is_file()
        }
        return {**results, "figures": figures}

    def preview(self) -> JSONPreview:
        """Return the content of the file, which Kedro-Viz shows."""
        return JSONPreview(json.dumps(super().load()))


class MlflowChapterDataset(TrackingSwitch, ResultsDataset):
    """A chapter as a JSON file, and its description in MLflow; see `ResultsDataset`."""

    def save(self, data: dict[str, Any]) -> None:
        """Write the file, and add the description to that of the active run.

        Descriptions of several experiments follow each other. Text beyond MLflow's limit is cut off.
        """
        super().save(data)
        if self.tracking_enabled:
            tracking.attempt(lambda: _add_to_description(data["description"]), None)


def _add_to_description(text: str) -> None:
    import mlflow
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("A chapter describes the MLflow run of `kedro run`, but no run is active.")
    client = mlflow.MlflowClient()
    before = client.get_run(run.info.run_id).data.tags.get(MLFLOW_RUN_NOTE, "")
    description = f"{before}\n\n{text}".strip()
    client.set_tag(run.info.run_id, MLFLOW_RUN_NOTE, description[:MAX_TAG_VAL_LENGTH])
