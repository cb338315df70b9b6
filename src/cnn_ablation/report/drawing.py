"""Figures yet to be drawn: whoever saves one sees first whether it is there already.

Drawing takes most of a run that has nothing to train.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CODE = ("figures.py", "../study/claims.py", "summary_table.py")


@dataclass(frozen=True)
class Drawing:
    """A figure as the call that draws it.

    Args:
        function: Name of a function of `figures`.
        arguments: Its arguments: tables, arrays, Pillow images, and what JSON can say.
    """

    function: str
    arguments: dict[str, Any]

    def draw(self) -> "Figure":
        """The figure."""
        from cnn_ablation.report import figures

        figure: Figure = getattr(figures, self.function)(**self.arguments)
        return figure

    def digest(self) -> str:
        """Hash of all that decides what is seen: the call, the code and Matplotlib's version."""
        call = json.dumps([self.function, self.arguments], default=_as_json)
        code = [(Path(__file__).parent / name).read_bytes() for name in _CODE]
        return _hash(call.encode(), version("matplotlib").encode(), *code)


def _as_json(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, _hash(value.tobytes())]
    if isinstance(value, Image.Image):
        return [value.mode, value.size, _hash(value.tobytes())]
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is none of what a drawing can be of")


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
