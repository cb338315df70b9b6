"""Errors of the command line."""

import inspect
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from kedro.framework.cli.utils import KedroCliError

from cnn_ablation.adapters.click_errors import click_errors, show_messages_of_kedro
from tests.conftest import ROOT, clean_environment


def test_kedro_shows_no_messages_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fail() -> None:
        raise KedroCliError("no such thing")

    monkeypatch.setattr(KedroCliError, "show", inspect.unwrap(KedroCliError.show))
    shown = CliRunner().invoke(fail).output
    assert shown != "Error: no such thing\n", (
        "this release of Kedro shows the messages of its errors: drop show_messages_of_kedro"
    )
    show_messages_of_kedro()
    assert CliRunner().invoke(fail).output == "Error: no such thing\n"


IMPORTING = """
import click
from cnn_ablation.adapters.click_errors import click_errors

@click.command()
@click_errors()
def command():
    import {library}

command()
"""


@pytest.mark.parametrize(
    ("library", "variable", "value", "reason"),
    [
        ("numba", "NUMBA_NUM_THREADS", "0", "Number of threads specified must be > 0."),
        ("distributed", "DASK_LOGGING__DISTRIBUTED", "garbage", "'GARBAGE'"),
        ("matplotlib", "MPLBACKEND", "garbage", "Key backend: "),
    ],
)
def test_a_library_that_cannot_be_imported_with_its_settings_is_named(
    library: str, variable: str, value: str, reason: str
) -> None:
    ended = python(IMPORTING.format(library=library), **{variable: value})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: {library} cannot be imported with its settings ({reason}")
    assert f"correct its variables ({variable}" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_settings_with_which_mlflow_cannot_be_imported_are_named_before_any_command() -> None:
    ended = python("import cnn_ablation.settings", MLFLOW_LOGGING_LEVEL="garbage")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: mlflow cannot be imported with its settings (Unknown level")
    assert "MLFLOW_LOGGING_LEVEL" in ended.stderr


def python(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", [ValueError, ImportError])
def test_other_errors_are_left_alone(kind: type[Exception]) -> None:
    @click.command()
    @click_errors()
    def fail() -> None:
        raise kind("a fault of this package")

    assert isinstance(CliRunner().invoke(fail).exception, kind)
