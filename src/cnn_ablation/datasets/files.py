"""Arrays, tables, trials and other results in files."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NewType

import numpy as np
import pandas as pd

from cnn_ablation.datasets.base import FileDataset, ReadOnlyDataset
from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.study.trials import Trial

# Kedro-Viz recognizes the kind of a preview only by the name of its type.
JSONPreview = NewType("JSONPreview", str)
TablePreview = NewType("TablePreview", dict[str, Any])

PREVIEWED_ROWS = 5
"""Number of rows of a table that Kedro-Viz shows."""


class ArraysDataset(FileDataset[dict[str, np.ndarray], dict[str, np.ndarray]]):
    """Named NumPy arrays in one safetensors file; see `FileDataset`."""

    def load(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        from safetensors.numpy import load

        # PyTorch warns of arrays that cannot be written, as those of `load` are.
        return {name: array.copy() for name, array in load(self._read()).items()}

    def save(self, data: dict[str, np.ndarray]) -> None:
        """Write all arrays."""
        from safetensors.numpy import save

        self._write(save(data))


class CSVDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """A table as CSV in UTF-8, without the index.

    Names stay text: a condition or a class may be called 1, 1e5, true or None. Only an empty field is a
    missing value.

    Args:
        filepath: The file.
        text: Names of the columns of text, in addition to condition and true_class.
        required: Names of columns that the file must have.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        filepath: str,
        text: Sequence[str] = (),
        required: Sequence[str] = (),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath, metadata)
        self._types = dict.fromkeys(("condition", "true_class", *text), str)
        self._required = required

    def load(self) -> pd.DataFrame:
        """Return the table.

        Raises:
            ValueError: It is no CSV in UTF-8, or lacks a required column.
        """
        content = BytesIO(self._read())
        table = pd.read_csv(content, dtype=self._types, keep_default_na=False, na_values=[""])
        if missing := [name for name in self._required if name not in table]:
            raise ValueError(f"there is no column {', '.join(missing)}, only {', '.join(table)}")
        return table

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        self._write(data.to_csv(index=False, lineterminator="\n").encode())

    def preview(self) -> TablePreview:
        """Return the first rows as Kedro-Viz shows them."""
        return TablePreview(self.load().head(PREVIEWED_ROWS).to_dict(orient="split"))


class JSONDataset(FileDataset[Any, Any]):
    """A value as JSON; see `FileDataset`."""

    def load(self) -> Any:
        """Return the value."""
        return json.loads(self._read())

    def save(self, data: Any) -> None:
        """Write the value."""
        self._write(json.dumps(data, indent=2).encode())

    def preview(self) -> JSONPreview:
        """Return the content of the file, which Kedro-Viz shows."""
        return JSONPreview(self._read().decode())


class TextDataset(FileDataset[str, str]):
    """A text in UTF-8; see `FileDataset`."""

    def load(self) -> str:
        """Return the text."""
        return self._read().decode()

    def save(self, data: str) -> None:
        """Write the text."""
        self._write(data.encode())


class TrialsDataset(JSONDataset):
    """The trials of an experiment as JSON."""

    def load(self) -> list[Trial]:
        """Return the trials, validated."""
        return [Trial.model_validate(trial) for trial in super().load()]

    def save(self, data: list[Trial]) -> None:
        """Write the trials."""
        super().save([trial.model_dump() for trial in data])


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
