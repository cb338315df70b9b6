"""Output to terminals that cannot show every character, and to places that take none."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, cast

import rich

from cnn_ablation.errors import StudyError

PLAIN = {"±": "+-", "×": "x", "–": "-", "−": "-", "…": "...", "’": "'"}
"""Replacements of characters that a terminal cannot show. All others become question marks."""

HANDLER = "cnn_ablation.plain"

NARROWEST = 20
"""Smallest width in characters that `COLUMNS` can give a terminal."""


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


def ignore_useless_width() -> None:
    """Unset `COLUMNS` if it names a width in which nothing can be shown.

    The variable overrides the terminal's own width. Some programs export it as 0 if there is no
    terminal, and rich then prints nothing at all. Its console that exists already has read the variable.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and not (columns.isdecimal() and int(columns) >= NARROWEST):
        del os.environ["COLUMNS"]
        rich.reconfigure()


@contextmanager
def print_while_possible() -> Iterator[None]:
    """Discard what standard output and standard error cannot take while the context is active.

    The reader of a pipe may go away, as `head` and `less` do, and a disk may be full. Neither is a
    reason to lose a run: rich would end it without a word, and other code would take it for a failed
    write of results.
    """
    output, errors = _through(_Lossy, sys.stdout), _through(_Lossy, sys.stderr)
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            yield
        finally:
            output.flush()
            errors.flush()


@contextmanager
def print_completely() -> Iterator[None]:
    """Report in a line if standard output does not take everything while the context is active.

    The output of a command is its result: the part of a table that fits on a disk could be taken for the
    whole. If the reader of a pipe goes away, as `head` does, click ends the command without a word.

    Raises:
        StudyError: Standard output cannot be written, for example because its disk is full.
    """
    output = _through(_Complete, sys.stdout)
    with redirect_stdout(output):
        yield
        output.flush()


def _through(kind: "type[_Lossy]", stream: TextIO) -> TextIO:
    if not isinstance(stream, TextIOWrapper):
        return stream  # A notebook or a test shows it.
    with suppress(OSError):
        stream.flush()
    # A buffer would keep what it could not write, and fail again at each attempt.
    raw = getattr(stream.buffer, "raw", stream.buffer)
    return TextIOWrapper(
        BufferedWriter(kind(raw)),
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


class _Complete(_Lossy):
    """Writes to a stream of bytes, and reports once that it takes no more."""

    _reported = False

    def write(self, data: Any) -> int:
        if self._reported:
            return len(data)  # The buffer tries again when it is closed.
        try:
            return cast(int, self._stream.write(data))
        except OSError as error:
            self._reported = True
            if isinstance(error, BrokenPipeError):
                raise
            raise StudyError(f"standard output cannot be written: {error.strerror}") from None


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in failed), error.end
