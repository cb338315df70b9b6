"""Text for terminals that cannot show every character."""

import codecs
import sys
from io import TextIOWrapper

PLAIN = {"±": "+-", "×": "x", "–": "-", "−": "-", "…": "...", "’": "'"}
"""Replacements of characters that a terminal cannot show. All others become question marks."""

HANDLER = "cnn_ablation.plain"


def never_fail_to_print() -> None:
    """Replace characters that standard output and standard error cannot encode.

    Without this, a terminal in Latin-1 or ASCII, or a file name that is not UTF-8, ends a run with a
    UnicodeEncodeError.
    """
    codecs.register_error(HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in failed), error.end
