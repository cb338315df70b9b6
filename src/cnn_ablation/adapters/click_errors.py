"""Errors of this package as errors of the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cnn_ablation.errors import AblationError


@contextmanager
def click_errors() -> Iterator[None]:
    """End a command with an error's message, without a traceback.

    Every function that Kedro calls, such as a hook, is decorated with this, because any command of Kedro
    and its plugins can call it. Scripts and notebooks, which run no command, get the original errors.

    Raises:
        click.ClickException: A command is running, and an error of this package is raised.
    """
    try:
        yield
    except AblationError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from error
