"""The results of an experiment, for the journal and for MLflow."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from cnn_ablation.datasets.figures import read_figure
from cnn_ablation.datasets.files import JSONDataset
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.errors import StudyError, one_line
from cnn_ablation.report.chapters import Chapter, Results
from cnn_ablation.study.configuration import locate
from cnn_ablation.workarounds import TrackingSwitch

logger = logging.getLogger(__name__)


class ResultsDataset(JSONDataset):
    """The results of an experiment as a JSON file; see `report.chapters.Results`.

    The file refers to the figures by their paths, relative to its folder. Loading reads those that this
    session has not saved.

    Args:
        filepath: The JSON file.
        metadata: Read by plugins, such as kedro-viz.
    """

    content: ClassVar[type[BaseModel]] = Results
    """Type of the file's content."""

    _saved: Mapping[str, tuple[str, bytes]] | None = None

    def save(self, data: dict[str, Any]) -> None:
        """Write the file."""
        figures = {
            name: os.path.relpath(path, self._filepath.parent)
            for name, (path, _) in data["figures"].items()
        }
        super().save({**data, "figures": figures})
        self._saved = data["figures"]

    def load(self) -> dict[str, Any] | None:
        """Return the results, or None if the experiment was not run.

        Missing and damaged figures are left out with a warning.

        Raises:
            StudyError: See `read_results`.
        """
        if self._saved is not None:
            return {**super().load(), "figures": dict(self._saved)}
        if not self.exists():
            return None
        results = read_results(self._filepath, self.content)
        return {**results, "figures": dict(self._figures(results["figures"]))}

    def _figures(self, paths: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, bytes]]]:
        for name, path in paths.items():
            # Like `relpath`, and unlike the system, this reads `..` without regard to links. A folder of
            # results may be a link to another disk.
            file = Path(os.path.normpath(self._filepath.parent / path))
            figure = read_figure(file)
            if figure is None:
                logger.warning(
                    "%s is missing or damaged, so that the figure is left out. Run the experiment "
                    "again: kedro run --pipeline=%s",
                    *(file, self._filepath.parent.name),
                )
            else:
                yield name, figure


class MlflowChapterDataset(TrackingSwitch, ResultsDataset):
    """A chapter as a JSON file, and its description in MLflow; see `ResultsDataset`."""

    content = Chapter

    def save(self, data: dict[str, Any]) -> None:
        """Write the file, and add the description to that of the active run.

        Descriptions of several experiments follow each other. Text beyond MLflow's limit is cut off.
        """
        super().save(data)
        if self.tracking_enabled:
            tracking.attempt(lambda: _add_to_description(data["description"]), None)


def read_results(file: Path, content: type[BaseModel] = Chapter) -> dict[str, Any]:
    """Read the results of an experiment.

    Args:
        file: The JSON file, in a folder with the experiment's name.
        content: Type of its content.

    Raises:
        StudyError: The file is damaged, something else is in its place, or another version of this
            package has written it.
    """
    try:
        results: dict[str, Any] = json.loads(file.read_bytes())
        content.model_validate(results)
    except ValidationError as error:
        reason = locate(error.errors()[0])
    except (OSError, ValueError, RecursionError) as error:
        reason = one_line(error)
    else:
        return results
    raise StudyError(
        f"{file} is damaged, or another version of this package wrote it ({reason}). Run the experiment "
        f"again: kedro run --pipeline={file.parent.name}"
    )


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
