"""Arrays and trials in files."""

import json
from typing import Any, NewType

import numpy as np
from kedro_datasets.json import JSONDataset

from cnn_ablation.datasets.base import FileDataset
from cnn_ablation.errors import StudyError
from cnn_ablation.study.trials import Trial

# Kedro-Viz recognizes the kind of a preview only by the name of its type.
JSONPreview = NewType("JSONPreview", str)


class ArraysDataset(FileDataset[dict[str, np.ndarray], dict[str, np.ndarray]]):
    """Named NumPy arrays in one safetensors file; see `FileDataset`."""

    def load(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        from safetensors.numpy import load_file

        arrays: dict[str, np.ndarray] = load_file(self._filepath)
        return arrays

    def save(self, data: dict[str, np.ndarray]) -> None:
        """Write all arrays. An interrupted write leaves the previous file as it was."""
        from safetensors.numpy import save_file

        self._replace(lambda path: save_file(data, path))


class TrialsDataset(JSONDataset):  # type: ignore[misc]
    """The trials of an experiment as JSON."""

    def load(self) -> list[Trial]:
        """Return the trials, validated."""
        return [Trial.model_validate(trial) for trial in super().load()]

    def save(self, data: list[Trial]) -> None:
        """Write the trials."""
        super().save([trial.model_dump() for trial in data])

    def preview(self) -> JSONPreview:
        """Return the trials as Kedro-Viz shows them."""
        return JSONPreview(json.dumps(super().load()))


class RememberedDataset(FileDataset[Any, Any]):
    """A JSON file that an earlier run may have written; see `FileDataset`."""

    def load(self) -> Any:
        """Return the content of the file, or an empty dict if there is no file.

        Raises:
            StudyError: The file is damaged.
        """
        if not self._exists():
            return {}
        try:
            return json.loads(self._filepath.read_text(encoding="utf-8"))
        except ValueError as error:
            raise StudyError(
                f"{self._filepath} is damaged: {error}. Restore it from a copy, or delete it: "
                "the looks at the results so far are then forgotten"
            ) from None

    def save(self, data: Any) -> None:
        """Write the file. An interrupted write leaves the previous file as it was."""
        self._replace(lambda path: path.write_text(json.dumps(data), encoding="utf-8"))
