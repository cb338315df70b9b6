"""Images with the classes that a network predicts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from PIL import Image

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_COLUMNS = 6
MAX_NAME = 24
"""Longest file name that is shown in full, characters."""


@dataclass(frozen=True, eq=False)
class ContactSheet(Drawing):
    """The first images with their predicted classes.

    Args:
        images: The images to draw by file name, with mode RGBA and at most `THUMBNAIL` pixels a side.
        predictions: A row per image: file, class, probability.
        limit: Number of images that are drawn at most.
    """

    THUMBNAIL: ClassVar[int] = 256

    images: dict[str, Image.Image]
    predictions: pd.DataFrame
    limit: int = 60

    def draw(self) -> "Figure":
        """See base class."""
        shown = self.predictions.head(self.limit)
        columns = min(MAX_COLUMNS, len(shown))
        rows = -(-len(shown) // columns)
        figure = style.new_figure(1.9 * columns + 0.4, 2.3 * rows + 1)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (_, row) in zip(grid.flat, shown.iterrows(), strict=False):
            axes.imshow(np.asarray(self.images[row["file"]]))
            name = row["file"]
            if len(name) > MAX_NAME:
                name = f"{name[: MAX_NAME - 3]}…"
            axes.set_title(f"{row['class']} {100 * row['probability']:.0f} %\n{name}", fontsize=8)
        style.heading(figure, "Predicted classes")
        more = len(self.predictions) - len(shown)
        note = f" The table lists {more} more images." if more else ""
        style.caption(
            figure, f"Percentages are the network's probabilities, which tend to be too high.{note}"
        )
        return figure
