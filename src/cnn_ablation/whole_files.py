"""Writing files that nobody ever sees half-written, even after a power cut."""

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ABANDONED_AFTER = 3600
"""Seconds without a change after which an unfinished file belongs to a writer that is gone."""


def write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a hidden name, and rename it when it is complete and on the disk.

    An interrupted write leaves the previous file as it was. Of two processes that write at the same
    time, the later one wins. A later write removes what a killed process has left.

    Args:
        file: The file. Its folder is created. If it is a link, the file that it names is written.
        write: Writes the file at the path that it is given.
    """
    # Renaming would replace a link. Unlike `Path.resolve`, this accepts a link to itself.
    file = Path(os.path.realpath(file))
    make_folder(file.parent)
    _remove_abandoned(file)
    # Processes of several hosts, which can have the same id, may write to a shared folder.
    unfinished = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        write(unfinished)
        sync_file(unfinished)
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, unless they exist, and wait until they are on the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_file(file: Path) -> None:
    """Wait until the content of a file is on the disk."""
    # Windows refuses this for a file that is open for reading only.
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, on systems and file systems that allow it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_abandoned(file: Path) -> None:
    name = re.compile(rf"\.{re.escape(file.name)}-[0-9a-f]+")
    newest = time.time() - ABANDONED_AFTER
    # Another process may remove them first, or own them.
    with suppress(OSError):
        for path in file.parent.iterdir():
            if name.fullmatch(path.name) and path.stat().st_mtime < newest:
                path.unlink()
