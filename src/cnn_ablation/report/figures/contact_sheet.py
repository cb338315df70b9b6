"""Images with the classes that a network predicts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_COLUMNS = 4
GAP = 16
"""Space between an image and the network's input, pixels."""

MAX_NAME = 24
"""Longest file name that is shown in full, characters."""


def shorten(name: str) -> str:
    """A file name of at most `MAX_NAME` characters, without its middle: a series differs at the end."""
    if len(name) <= MAX_NAME:
        return name
    end = MAX_NAME // 2
    return f"{name[: MAX_NAME - end - 1]}…{name[-end:]}"


@dataclass(frozen=True, eq=False)
class ContactSheet(Drawing):
    """The first images beside the network's input, with their predicted classes.

    Args:
        images: The images to draw by file name, with mode RGBA and at most `THUMBNAIL` pixels a side.
        inputs: The network's input for each, uint8 (channels, height, width).
        predictions: A row per image: file, class, probability.
        limit: Number of images that are drawn at most.
    """

    THUMBNAIL: ClassVar[int] = 256

    images: dict[str, Image.Image]
    inputs: dict[str, np.ndarray]
    predictions: pd.DataFrame
    limit: int = 60

    def draw(self) -> "Figure":
        """See base class."""
        shown = self.predictions.head(self.limit)
        columns = min(MAX_COLUMNS, len(shown))
        rows = -(-len(shown) // columns)
        figure = style.new_figure(2.9 * columns + 0.4, 2.0 * rows + 1)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (_, row) in zip(grid.flat, shown.iterrows(), strict=False):
            name = row["file"]
            axes.imshow(np.asarray(self._pair(name)))
            title = f"{row['class']} {100 * row['probability']:.0f} %\n{shorten(name)}"
            axes.set_title(title, fontsize=8)
        style.heading(figure, "Predicted classes")
        more = len(self.predictions) - len(shown)
        note = f" The table lists {more} more images." if more else ""
        style.caption(
            figure,
            "Left: the image. Right: the network's input. Percentages are the network's probabilities, "
            f"which tend to be too high.{note}",
        )
        return figure

    def _pair(self, name: str) -> Image.Image:
        """The image and the network's input side by side, on a transparent ground."""
        side = self.THUMBNAIL
        pixels = self.inputs[name].transpose(1, 2, 0)
        seen = Image.fromarray(pixels.squeeze() if pixels.shape[2] == 1 else pixels)
        pair = Image.new("RGBA", (2 * side + GAP, side))
        parts = ((self.images[name], Image.Resampling.LANCZOS), (seen, Image.Resampling.NEAREST))
        for left, (part, method) in zip((0, side + GAP), parts, strict=True):
            fitted = ImageOps.contain(part.convert("RGBA"), (side, side), method)
            pair.paste(fitted, (left + (side - fitted.width) // 2, (side - fitted.height) // 2))
        return pair
