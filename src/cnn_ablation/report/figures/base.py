"""The base class of all figures.

Drawing takes most of the time of a run that trains nothing. A figure is therefore described first, and
drawn only if its file shows something else.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import BaseModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = Path(__file__).parent

OTHER_CODE = ("report/summary_table.py", "evidence/effects.py", "study/quantities.py")
"""Modules that figures depend on, outside this package."""


@dataclass(frozen=True, eq=False)
class Drawing(ABC):
    """A figure that is not drawn yet.

    Its fields are tables, arrays, Pillow images, settings, and dicts and lists of JSON values.
    """

    @abstractmethod
    def draw(self) -> "Figure":
        """Draw the figure."""

    def digest(self) -> str:
        """Hash of everything that decides the figure's pixels.

        That is the fields, the code that draws, and Matplotlib's version.

        Raises:
            TypeError: A field has a type that cannot be hashed.
        """
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        described = json.dumps([type(self).__name__, content], default=_as_json)
        return _hash(described.encode(), version("matplotlib").encode(), *_code())


def _code() -> list[bytes]:
    files = [*sorted(FIGURES.glob("*.py")), *(FIGURES.parents[1] / name for name in OTHER_CODE)]
    return [file.read_bytes() for file in files]


def _as_json(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, _hash(value.tobytes())]
    if isinstance(value, Image.Image):
        return [value.mode, value.size, _hash(value.tobytes())]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, BaseModel):
        return [repr(value), str(value)]
    raise TypeError(f"a figure cannot be made from a {type(value).__name__}")


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
