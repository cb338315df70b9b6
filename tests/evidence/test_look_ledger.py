"""The file of looks that runs write and later runs read."""

import errno
import fcntl
import logging
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock, Timeout

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


def refuse_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Behave like a network file system without a lock service."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available"):
        FileLock(tmp_path / "probe").acquire()


@pytest.mark.parametrize("locks", [True, False])
def test_two_runs_that_judge_at_once_both_remember_their_looks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    if not locks:
        refuse_locks(monkeypatch, tmp_path)
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


def test_projects_that_share_the_file_by_a_link_share_its_lock(tmp_path: Path) -> None:
    file, link = tmp_path / "looks.json", tmp_path / "project/looks.json"
    link.parent.mkdir()
    link.symlink_to(file)
    with LookLedger(link).update() as looks, pytest.raises(Timeout):
        looks.update(LOOKS)
        FileLock(file.with_suffix(".lock")).acquire(timeout=0)
    assert LookLedger(file).read() == LOOKS


def judge_many_times(file: Path, name: str, refused: bool) -> None:
    """Run in a process of its own."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        if refused:
            refuse_locks(monkeypatch, file.parent / name)
        for look in range(20):
            with LookLedger(file).update() as looks:
                looks[f"{name} {look}"] = {}


@pytest.mark.parametrize("refused", [False, True])
def test_no_look_of_two_processes_is_lost(tmp_path: Path, refused: bool) -> None:
    names = ("one", "two")
    for name in names:
        (tmp_path / name).mkdir()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        running = [
            pool.submit(judge_many_times, tmp_path / "looks.json", name, refused) for name in names
        ]
        for each in running:
            each.result(timeout=100)
    looks = LookLedger(tmp_path / "looks.json").read()
    assert looks.keys() == {f"{name} {look}" for name in names for look in range(20)}


def test_a_killed_run_blocks_no_other_if_locks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_locks(monkeypatch, tmp_path)
    code = f"""
import os
from pathlib import Path
from filelock import SoftFileLock
lock = SoftFileLock(Path({str(tmp_path)!r}, "looks.judging"))
lock.acquire()
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "looks.judging").exists()
    with LookLedger(tmp_path / "looks.json").update() as looks:
        looks.update(LOOKS)
    assert LookLedger(tmp_path / "looks.json").read() == LOOKS


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


@pytest.mark.parametrize(
    "content",
    [
        *('{"contrast": [', "[]", '{"data": 5}', '{"data": {"contrast": [1]}}', "[" * 10_000, None),
        '{"data": {"contrast": [{"seed": [0, 1], "spent": 0.5}]}}',
    ],
)
def test_damaged_looks_are_a_clear_error(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "looks.json"
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    with pytest.raises(StudyError, match=r"looks\.json is damaged: .*delete it"):
        LookLedger(file).read()
