"""The terminal that commands print to."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table


def plain_console() -> Console:
    """A console on standard output that prints texts as they are.

    Names of conditions and titles may contain brackets or colons, which rich would read as markup or as
    names of emojis.
    """
    return Console(markup=False, emoji=False)


def add_name_column(table: Table, header: str, names: Iterable[str], widest: int) -> None:
    """Add a column of names, which keeps its width where a table is too wide for its console.

    Otherwise, Rich would narrow the column until it breaks the words of the header.

    Args:
        table: The table.
        header: Header of the column.
        names: All names in the column.
        widest: Width, characters, above which names are folded.
    """
    word = max(map(len, header.split()))
    longest = max(map(len, names), default=0)
    width = max(word, min(max(longest, len(header)), widest))
    table.add_column(header, overflow="fold", width=width)
