"""The file of looks that runs write and later runs read."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from cnn_ablation.datasets import LookLedgerDataset
from cnn_ablation.errors import StudyError
from cnn_ablation.evidence.look_ledger import LookLedger, LooksByData

LOOKS: LooksByData = {"data": {"contrast": [{"seeds": [0, 1], "spent": 0.4}]}}


def test_looks_are_remembered(tmp_path: Path) -> None:
    file = tmp_path / "outputs" / "looks.json"
    ledger = LookLedgerDataset(str(file)).load()
    assert ledger.read() == {}
    with ledger.update() as looks:
        assert looks == {}
        looks.update(LOOKS)
    assert LookLedgerDataset(str(file)).load().read() == LOOKS


def test_two_runs_that_judge_at_once_both_remember_their_looks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "looks.json"
    judging, waiting = Event(), Event()

    def note_warning(record: logging.LogRecord) -> bool:
        waiting.set()
        return True

    caplog.handler.addFilter(note_warning)

    def judge(name: str, begin: Event | None) -> list[str]:
        if begin is not None:
            assert begin.wait(10)
        with LookLedger(file).update() as looks:
            before = list(looks)
            judging.set()
            if begin is None:
                assert waiting.wait(10)
            looks[name] = {}
        return before

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor() as pool:
        first = pool.submit(judge, "one", None)
        second = pool.submit(judge, "two", judging)
        assert first.result() == []
        assert second.result() == ["one"], "the second run has seen the first one's looks"
    assert list(LookLedger(file).read()) == ["one", "two"]
    assert "Another run judges its claims" in caplog.text


def test_an_error_or_an_interrupted_write_leaves_the_looks_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(file: Path, text: str, **_: object) -> None:
        file.write_bytes(text[:10].encode())
        raise KeyboardInterrupt

    ledger = LookLedger(tmp_path / "looks.json")
    with ledger.update() as looks:
        looks.update(LOOKS)
    with pytest.raises(KeyError), ledger.update() as looks:
        looks.clear()
        raise KeyError
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), ledger.update() as looks:
        patch.setattr(Path, "write_text", interrupt)
        looks.clear()
    with ledger.update() as looks:
        assert looks == LOOKS, "and the lock is free again"


def test_damaged_looks_are_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "looks.json"
    file.write_text('{"contrast": [')
    with pytest.raises(StudyError, match=r"looks\.json is damaged: .*delete it"):
        LookLedger(file).read()
