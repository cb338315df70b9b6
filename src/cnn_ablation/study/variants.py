"""Variants of a study: runs whose settings differ from conf.

A variant has a folder of results, so that it never replaces the results of other settings. Seeds make no
variant: more seeds are another look at the same study.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

SAME_STUDY = re.compile(r"([^.]+\.)?seeds|pursuit|prediction|execution\.(workers|scheduler|tls)")
"""Parameters that change no result of a trial, and no claim: seeds, and where trials run."""

LONGEST_NAME = 90
"""Largest number of characters in a variant's name. File systems allow 255 bytes."""

_DIGITS = 8


def find_changes(given: Mapping[str, Any], conf: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of one run that differ from conf and can change its results.

    Args:
        given: The parameters that were given for the run, by nested keys.
        conf: All parameters as the files have them.

    Returns:
        Values by dotted key, sorted by key. A list is one value.
    """
    return dict(sorted(_differences(given, conf)))


def name_variant(changes: Mapping[str, Any]) -> str:
    """The name of a variant, which is safe as the name of a file.

    The name says what has changed, as far as its length permits, and ends with a hash of all of it.

    Args:
        changes: See `find_changes`.
    """
    texts = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changes.items()]
    label = ",".join(_unusual_to_hyphens(text) for text in texts)
    content = json.dumps(changes, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
    return f"{label[: LONGEST_NAME - _DIGITS - 1]}_{digest}"


def _differences(
    given: Mapping[str, Any], conf: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        key = f"{prefix}{name}"
        before = conf.get(name)
        if SAME_STUDY.fullmatch(key):
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from _differences(value, before, f"{key}.")
        elif name not in conf or value != before:
            yield key, value


def _unusual_to_hyphens(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+-]+", "-", text.replace('"', "")).replace("=-", "=").strip("-")
