"""The terminal that commands print to."""

from rich.console import Console


def plain_console() -> Console:
    """A console on standard output that prints texts as they are.

    Names of conditions and titles may contain brackets or colons, which rich would read as markup or as
    names of emojis.
    """
    return Console(markup=False, emoji=False)
