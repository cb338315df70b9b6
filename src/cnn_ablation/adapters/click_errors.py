"""Errors of this package as errors of the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cnn_ablation.errors import AblationError


@contextmanager
def click_errors() -> Iterator[None]:
    """End a command with an error's message, without a traceback.

    All that Kedro calls of this project, such as hooks, is decorated with this: any command of Kedro and
    its plugins may call it. Scripts and notebooks, which run no command, get the errors as they are.

    Raises:
        click.ClickException: A command is running, and an error of this package is raised.
    """
    try:
        yield
    except AblationError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from error
