"""All errors that a user can meet and correct, in one hierarchy.

    AblationError
    ├── InputError              the configuration or an option of a command cannot be used
    ├── ParameterError          a parameter cannot be used
    └── StudyError              a run cannot continue
        ├── ImageSetError       a set of images cannot be used
        ├── ImageFileError      a file is not an image that can be read
        ├── DataUnavailableError  a data set is missing and cannot be downloaded
        ├── LostModelError      the files of a registered model are gone or damaged
        ├── StoreError          the store of trained trials cannot be read or written
        └── ClusterError        there is no cluster to train on

Commands print the message of each of them without a traceback; see `adapters.click_errors`.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice

LONGEST_MESSAGE = 2000
"""Largest number of characters of another library's message that is shown."""


class AblationError(Exception):
    """Base of all errors of this package. Its message says what is wrong and what to do about it."""


class InputError(AblationError):
    """The configuration or an option of a command cannot be used. The message names file and key."""


class ParameterError(AblationError, ValueError):
    """A parameter has a valid type but cannot be used with the others or on this machine.

    Args:
        key: Dotted key of the parameter, such as `model.conv_channels`.
        reason: The reason, and the allowed values.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class StudyError(AblationError, RuntimeError):
    """A run cannot continue, for a reason outside the code, such as missing data."""


class ImageSetError(StudyError):
    """A set of images cannot be used."""


class ImageFileError(StudyError):
    """A file is not an image that can be read. The message is the reason, without the file's name."""


class DataUnavailableError(StudyError):
    """A data set is missing and cannot be downloaded. The message names each place that was tried."""


class LostModelError(StudyError):
    """The files of a registered model are gone or damaged. The message says which ones."""


class StoreError(StudyError):
    """The store of trained trials cannot be read or written. The message names its folder."""


class ClusterError(StudyError):
    """There is no cluster to train on."""


def listed(reasons: Mapping[str, str], limit: int = 10) -> str:
    """A line of text per item and its reason, at most `limit` of them, each on a new line."""
    lines = [f"\n  {item}: {reason}" for item, reason in islice(reasons.items(), limit)]
    more = len(reasons) - len(lines)
    return "".join([*lines, f"\n  and {more} more" if more else ""])


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for a misspelt name, or an empty string if no allowed name is close."""
    close = get_close_matches(str(name), [str(other) for other in allowed], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def one_line(error: BaseException) -> str:
    """The message of an error of any library in one line, without PyTorch's stack of C++ functions."""
    message = str(error).partition("\nException raised from")[0]
    return " ".join(message.split())[:LONGEST_MESSAGE] or type(error).__name__
