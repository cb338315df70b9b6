"""Passwords and tokens, which must not appear in messages or in what is tracked."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
"""Text in place of a password or token."""

_SECRET_KEY = re.compile("passw|secret|token|credential|api_?key", re.IGNORECASE)
# A path of SQLite may contain an @.
_USER_IN_URL = re.compile(r"(?<!sqlite)://\S*@")
_SECRET_IN_QUERY = re.compile(r"([?&][^=&\s]*(?:passw|secret|token|key)[^=&\s]*=)[^&\s]+", re.IGNORECASE)


def hide_secrets(value: Any, key: str = "") -> Any:
    """A copy of a value or a tree of values without passwords and tokens.

    Hidden are values whose key says that they are secret, and users and passwords in URLs.

    Args:
        value: A value, or mappings and lists of values.
        key: Key of the value.
    """
    if isinstance(value, Mapping):
        return {name: hide_secrets(entry, str(name)) for name, entry in value.items()}
    if value is not None and _SECRET_KEY.search(key):
        return HIDDEN
    if isinstance(value, list | tuple):
        return [hide_secrets(entry) for entry in value]
    if isinstance(value, str):
        return _SECRET_IN_QUERY.sub(rf"\1{HIDDEN}", _USER_IN_URL.sub(f"://{HIDDEN}@", value))
    return value
