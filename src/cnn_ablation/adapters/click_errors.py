"""Errors of this package and of Kedro as errors of the command line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click
from kedro.framework.cli.utils import KedroCliError

from cnn_ablation.adapters.library_settings import explain_import
from cnn_ablation.errors import AblationError, one_line


@contextmanager
def click_errors() -> Iterator[None]:
    """End a command with an error's message, without a traceback.

    Every function that Kedro calls, such as a hook, is decorated with this, because any command of Kedro
    and its plugins can call it. Scripts and notebooks, which run no command, get the original errors.

    Raises:
        click.ClickException: A command is running, and an error of this package is raised, or another
            library cannot be imported with its settings.
    """
    try:
        yield
    except AblationError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from error
    except Exception as error:
        explained = explain_import(error)
        if explained is None or click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(explained) from error


def show_messages_of_kedro() -> None:
    """Let Kedro's errors of the command line show their messages in one line, as other errors do.

    `KedroCliError.show` prints the exception that is being handled instead of its own message. Since
    click 8.5 calls it when none is handled any more, it prints `NoneType: None`.
    """
    show = KedroCliError.show
    if hasattr(show, "__wrapped__"):
        return

    @wraps(show)
    def show_message(self: KedroCliError, file: Any = None) -> None:
        if self.VERBOSE_ERROR:
            traceback.print_exception(self)
        click.echo(f"Error: {one_line(self)}", file=file, err=file is None)

    KedroCliError.show = show_message  # type: ignore[method-assign]
