"""Output to terminals that cannot show every character, and to places that take none."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

PLAIN = {"±": "+-", "×": "x", "–": "-", "−": "-", "…": "...", "’": "'"}
"""Replacements of characters that a terminal cannot show. All others become question marks."""

HANDLER = "cnn_ablation.plain"


def never_fail_to_print() -> None:
    """Replace characters that standard output and standard error cannot encode.

    Without this, a terminal in Latin-1 or ASCII, or a file name that is not UTF-8, ends a run with a
    UnicodeEncodeError. A stream that the shell has closed, as by `>&-`, is None in Python, which the
    handler of the log cannot print to. It becomes one that discards its text.
    """
    codecs.register_error(HANDLER, _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


@contextmanager
def print_while_possible() -> Iterator[None]:
    """Discard what standard output and standard error cannot take while the context is active.

    The reader of a pipe may go away, as `head` and `less` do, and a disk may be full. Neither is a
    reason to lose a run: rich would end it without a word, and other code would take it for a failed
    write of results.
    """
    output, errors = _lossy(sys.stdout), _lossy(sys.stderr)
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            yield
        finally:
            output.flush()
            errors.flush()


def _lossy(stream: TextIO) -> TextIO:
    if not isinstance(stream, TextIOWrapper):
        return stream  # A notebook or a test shows it.
    with suppress(OSError):
        stream.flush()
    # A buffer would keep what it could not write, and fail again at each attempt.
    raw = getattr(stream.buffer, "raw", stream.buffer)
    return TextIOWrapper(
        BufferedWriter(_Lossy(raw)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )


class _Lossy(RawIOBase):
    """Writes to a stream of bytes, and discards what it does not take."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def write(self, data: Any) -> int:
        with suppress(OSError):
            # A pipe may take a part. It is None if one that does not block takes nothing.
            return self._stream.write(data) or len(data)
        return len(data)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in failed), error.end
