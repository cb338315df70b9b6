"""Datasets of results in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cnn_ablation import datasets
from tests.execution.test_engine import make_trial

NAMES = ["1", "1e5", "true", "None", "NA", "007", "é"]


def table(first: float) -> pd.DataFrame:
    return pd.DataFrame({"condition": NAMES, "key": NAMES, "value": [first, *[np.nan] * 6]})


@pytest.mark.parametrize(
    ("kind", "own", "other"),
    [
        ("ArraysDataset", {"x": np.arange(3)}, {"x": np.arange(4)}),
        ("CSVDataset", table(0.1 + 0.2), table(1.0)),
        ("JSONDataset", {"a": [1, None]}, []),
        ("TextDataset", "±\n", "\r\n"),
        ("TrialsDataset", [make_trial(0), make_trial(1)], [make_trial(2)]),
    ],
)
def test_a_session_reads_what_it_wrote_while_another_run_replaces_the_file(
    tmp_path: Path, kind: str, own: Any, other: Any
) -> None:
    options = {"text": ["key"]} if kind == "CSVDataset" else {}
    make = getattr(datasets, kind)
    sessions = [make(filepath=str(tmp_path / "new/file"), **options) for _ in range(3)]
    sessions[0].save(own)
    sessions[1].save(other)
    np.testing.assert_equal(values(sessions[0].load()), values(own))
    np.testing.assert_equal(values(sessions[2].load()), values(other))


def values(data: Any) -> Any:
    return data.to_dict() if isinstance(data, pd.DataFrame) else data


def test_arrays_can_be_written_to(tmp_path: Path) -> None:
    dataset = datasets.ArraysDataset(filepath=str(tmp_path / "arrays.safetensors"))
    dataset.save({"x": np.zeros(2)})
    dataset.load()["x"][0] = 1
    assert dataset.load()["x"].tolist() == [0, 0]


def test_a_failed_write_leaves_the_previous_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "table.csv"
    datasets.CSVDataset(filepath=str(file)).save(table(1.0))
    before = file.read_bytes()

    def fill(path: Path, content: bytes) -> int:
        with path.open("wb") as opened:
            opened.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(Exception, match="No space left"):
        datasets.CSVDataset(filepath=str(file)).save(table(2.0))
    assert file.read_bytes() == before
