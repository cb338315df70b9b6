"""Errors of the command line."""

import inspect

import click
import pytest
from click.testing import CliRunner
from kedro.framework.cli.utils import KedroCliError

from cnn_ablation.adapters.click_errors import show_messages_of_kedro


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
