"""Output to terminals that cannot show every character, and to places that take none."""

import io
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rich.console
from kedro.framework.session import KedroSession

from cnn_ablation.adapters.session import ProjectSession
from cnn_ablation.adapters.terminal import (
    NARROWEST,
    ignore_useless_width,
    never_fail_to_print,
    print_completely,
    print_while_possible,
)
from cnn_ablation.errors import StudyError
from tests.conftest import clean_environment


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "91.2 +- 0.3 ... x?.png ?"),
        ("latin-1", "91.2 ± 0.3 ... xé.png ?"),
        ("utf-8", "91.2 ± 0.3 … xé.png ?"),
    ],
)
def test_characters_that_cannot_be_shown_are_replaced(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    never_fail_to_print()
    print("91.2 ± 0.3 … xé.png \udcff", end="", flush=True)
    assert stream.buffer.getvalue().decode(encoding) == shown


def in_a_shell(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python's arguments and redirections in a shell; the exit code is that of Python."""
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} {command}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("redirection", ["2>&1 | true", ">&-", ">/dev/full"])
def test_a_run_goes_on_without_its_output(project: Path, redirection: str) -> None:
    ended = in_a_shell(f"-m kedro run --pipeline=data_ingestion {redirection}", project)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Logging error" not in ended.stderr
    figure = project / "data/08_reporting/samples.png"
    assert figure.is_file()
    figure.unlink()
    with sqlite3.connect(project / "mlflow.db") as database:
        query = "select status from runs where name = 'data_ingestion' order by start_time"
        assert database.execute(query).fetchall()[-1] == ("FINISHED",)


class Refusing(io.RawIOBase):
    """A stream that takes the first bytes, as a disk does, and then none."""

    def __init__(self, space: int) -> None:
        self.written = b""
        self.space = space

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = bytes(data)[: self.space - len(self.written)]
        if not taken:
            raise OSError(28, "No space left on device")
        self.written += taken
        return len(taken)


def test_what_a_stream_cannot_take_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Refusing(5)
    stream = io.TextIOWrapper(io.BufferedWriter(place), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    with print_while_possible():
        print("12345678", flush=True)
        print("9", flush=True)
    assert sys.stdout is stream
    assert place.written == b"12345"
    stream.flush()


def test_a_run_that_a_script_starts_goes_on_if_its_output_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*_: object, **__: object) -> dict[str, str]:
        print("12345678", flush=True)
        return {"outcome": "finished"}

    monkeypatch.setattr(KedroSession, "run", run)
    place = Refusing(5)
    stream = io.TextIOWrapper(io.BufferedWriter(place), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    assert ProjectSession("session").run() == {"outcome": "finished"}
    assert place.written == b"12345"


def test_output_that_is_not_taken_completely_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Refusing(5)
    stream = io.TextIOWrapper(io.BufferedWriter(place), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    with (
        pytest.raises(StudyError, match=r"^standard output cannot be written: No space left on"),
        print_completely(),
    ):
        print("12345678")
    assert sys.stdout is stream
    assert place.written == b"12345"
    stream.flush()


@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_list_of_trials_that_does_not_fit_on_a_disk_is_an_error(project: Path, form: str) -> None:
    ended = in_a_shell(f"-m kedro trials list --format {form} > /dev/full", project)
    assert ended.returncode == 1
    errors = "Error: standard output cannot be written: No space left on device\n"
    assert ended.stderr == errors


def test_a_list_of_trials_may_end_early(project: Path) -> None:
    ended = in_a_shell("-m kedro trials list --format csv | true", project)
    assert ended.stderr == ""


@pytest.mark.parametrize(("columns", "kept"), [("0", False), ("19", False), ("²", False), ("20", True)])
def test_a_width_in_which_nothing_can_be_shown_counts_as_unknown(
    monkeypatch: pytest.MonkeyPatch, columns: str, kept: bool
) -> None:
    monkeypatch.setattr(rich, "_console", rich.console.Console(width=0))
    monkeypatch.setenv("COLUMNS", columns)
    ignore_useless_width()
    assert ("COLUMNS" in os.environ) == kept
    assert (rich.get_console().width > NARROWEST) != kept
