"""Variants of a study: runs whose settings differ from conf.

A variant has a folder of results, so that it never replaces the results of other settings. Seeds make no
variant: more seeds are another look at the same study.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Changes = Mapping[tuple[str, ...], Any]
"""Values by the steps of their keys, because names of conditions can contain dots."""

SAME_STUDY = re.compile(r"([^.]+\.)?seeds|pursuit|prediction|execution\.(workers|scheduler|tls)")
"""Parameters that change no result of a trial, and no claim: seeds, and where trials run."""

LONGEST_NAME = 90
"""Largest number of characters in a variant's name. File systems allow 255 bytes."""

_DIGITS = 8


def find_changes(given: Mapping[str, Any], conf: Mapping[str, Any]) -> Changes:
    """The parameters of one run that differ from conf and can change its results.

    Args:
        given: The parameters that were given for the run, by nested keys.
        conf: All parameters as the files have them.

    Returns:
        Values by the steps of their keys, sorted by key. A list is one value.
    """
    return dict(sorted(_differences(given, conf), key=lambda change: dotted(change[0])))


def name_variant(changes: Changes) -> str:
    """The name of a variant, which is safe as the name of a file.

    The name says what has changed, as far as its length permits, and ends with a hash of all of it.

    Args:
        changes: See `find_changes`.
    """
    by_key = {dotted(steps): value for steps, value in changes.items()}
    texts = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in by_key.items()]
    label = ",".join(_unusual_to_hyphens(text) for text in texts)
    content = json.dumps(by_key, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
    return f"{label[: LONGEST_NAME - _DIGITS - 1]}_{digest}"


def dotted(steps: Sequence[str]) -> str:
    """A key as messages and names of variants show it."""
    # The keys of a file for `--config` can be numbers.
    return ".".join(map(str, steps))


def _differences(
    given: Mapping[str, Any], conf: Mapping[str, Any], group: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in given.items():
        steps = (*group, name)
        before = conf.get(name)
        if SAME_STUDY.fullmatch(dotted(steps)):
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from _differences(value, before, steps)
        elif name not in conf or value != before:
            yield steps, value


def _unusual_to_hyphens(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+-]+", "-", text.replace('"', "")).replace("=-", "=").strip("-")
