"""Writing files that nobody ever sees half-written."""

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a hidden name, and rename it when it is complete.

    An interrupted write leaves the previous file as it was. Of two processes that write at the same
    time, the later one wins.

    Args:
        file: The file. Its folder is created. If it is a link, the file that it names is written.
        write: Writes the file at the path that it is given.
    """
    # Renaming would replace a link. Unlike `Path.resolve`, this accepts a link to itself.
    file = Path(os.path.realpath(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}-{os.getpid()}")
    write(unfinished)
    unfinished.replace(file)
