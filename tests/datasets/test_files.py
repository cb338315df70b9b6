"""Files that runs write and later runs read."""

from pathlib import Path

import pytest
from kedro.io import DatasetError

from cnn_ablation.datasets import RememberedDataset
from cnn_ablation.errors import StudyError

LOOKS = {"contrast": [{"seeds": [0, 1], "spent": 0.4}]}


def test_looks_are_remembered(tmp_path: Path) -> None:
    looks = RememberedDataset(str(tmp_path / "outputs" / "looks.json"))
    assert looks.load() == {}
    looks.save(LOOKS)
    assert RememberedDataset(str(tmp_path / "outputs" / "looks.json")).load() == LOOKS


def test_an_interrupted_write_leaves_the_looks_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(file: Path, text: str, **_: object) -> None:
        file.write_bytes(text[:10].encode())
        raise KeyboardInterrupt

    looks = RememberedDataset(str(tmp_path / "looks.json"))
    looks.save(LOOKS)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", interrupt)
        looks.save({})
    assert looks.load() == LOOKS


def test_damaged_looks_are_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "looks.json"
    file.write_text('{"contrast": [')
    with pytest.raises(DatasetError, match=r"looks\.json is damaged: .*delete it") as failure:
        RememberedDataset(str(file)).load()
    assert isinstance(failure.value.__cause__, StudyError)
