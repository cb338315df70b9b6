"""The file of all looks at results, which several runs can use at once."""

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout
from pydantic import BaseModel, TypeAdapter, ValidationError

from cnn_ablation.errors import StudyError
from cnn_ablation.whole_files import write_whole

logger = logging.getLogger(__name__)

LooksByData = dict[str, dict[str, list[dict[str, Any]]]]
"""Looks at each contrast, see `spending.dump_looks`, by the fingerprint of the data."""


class _StoredLook(BaseModel):
    seeds: list[int]
    spent: float


_LOOKS = TypeAdapter(dict[str, dict[str, list[_StoredLook]]])


class LookLedger:
    """A JSON file with the looks at the results of all runs.

    The level that a look may spend depends on the looks before it. Two runs therefore must not judge at
    the same time: the second waits for the first, whose looks then count.

    Args:
        file: The file. It does not have to exist.
    """

    def __init__(self, file: Path) -> None:
        # Projects that share the file by a link also share its lock, which is beside it.
        self._file = Path(os.path.realpath(file))

    def read(self) -> LooksByData:
        """Return all looks.

        Raises:
            StudyError: The file is damaged, or something else is in its place.
        """
        try:
            content = self._file.read_bytes()
            _LOOKS.validate_json(content)
            looks: LooksByData = json.loads(content)
            return looks
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise StudyError(
                f"{self._file} is damaged: {reason}. Restore it from a copy, or delete it: "
                "the looks at the results so far are then forgotten"
            ) from None

    @contextmanager
    def update(self) -> Iterator[LooksByData]:
        """Give all looks, and write them at the end with the changes made to them.

        Other runs wait until then. After an error, the file is as it was.

        Raises:
            StudyError: The file is damaged.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock()
        try:
            looks = self.read()
            yield looks
            write_whole(self._file, lambda path: path.write_text(json.dumps(looks), encoding="utf-8"))
        finally:
            lock.release()

    def _lock(self) -> BaseFileLock:
        try:
            return _acquire(FileLock(self._file.with_suffix(".lock")))
        except OSError as error:
            # Some network file systems refuse locks. All of them can create a file only once.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            return _acquire(SoftFileLock(self._file.with_suffix(".judging")))


def _acquire(lock: BaseFileLock) -> BaseFileLock:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning(
            "Another run judges its claims; this run waits until that look is remembered. If no other "
            "run exists on any machine, delete %s",
            lock.lock_file,
        )
        lock.acquire()
    return lock
