"""Arrays and trials in files."""

import json
from pathlib import Path
from typing import Any, NewType

import numpy as np
from kedro_datasets.json import JSONDataset

from cnn_ablation.datasets.base import FileDataset, ReadOnlyDataset
from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.study.trials import Trial
from cnn_ablation.whole_files import write_whole

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

        write_whole(self._filepath, lambda path: save_file(data, path))


class TrialsDataset(JSONDataset):  # type: ignore[misc]
    """The trials of an experiment as JSON."""

    _saved: list[Trial] | None = None

    def load(self) -> list[Trial]:
        """Return this session's trials, or else those of the session that saved last, validated.

        Another run of the same experiment can write its own trials at the same time.
        """
        if self._saved is not None:
            return self._saved
        return [Trial.model_validate(trial) for trial in super().load()]

    def save(self, data: list[Trial]) -> None:
        """Write the trials."""
        super().save([trial.model_dump() for trial in data])
        self._saved = data

    def preview(self) -> JSONPreview:
        """Return the trials as Kedro-Viz shows them."""
        return JSONPreview(json.dumps(super().load()))


class LookLedgerDataset(ReadOnlyDataset[LookLedger]):
    """The looks at results. Nodes read them and add new ones.

    Args:
        filepath: The file, which does not have to exist.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> LookLedger:
        """Return the ledger."""
        return LookLedger(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
