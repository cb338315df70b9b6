"""Training images of each class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Samples(Drawing):
    """The first images of each class, a row per class, for the first 20 classes.

    Args:
        images: uint8 (N, channels, height, width).
        labels: int (N,).
        class_names: Name per label.
        per_class: Number of images per row.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: list[str]
    per_class: int = 10

    def draw(self) -> "Figure":
        """See base class."""
        shown = self.class_names[: style.MAX_CLASSES]
        channels, height, width = self.images.shape[1:]
        # All images form one picture: laying out axes for each of them would take seconds.
        gap = max(1, height // 10)
        tile = (len(shown), self.per_class, height + gap, width + gap, channels)
        tiles = np.full(tile, 255, dtype=np.uint8)
        for label, row in enumerate(tiles):
            chosen = self.images[self.labels == label][: self.per_class]
            row[: len(chosen), :height, :width] = chosen.transpose(0, 2, 3, 1)
        picture = tiles.swapaxes(1, 2).reshape(len(shown) * (height + gap), -1, channels)
        figure = style.new_figure(self.per_class * 0.62 + 1.4, len(shown) * 0.62 + 0.7)
        axes = figure.subplots()
        axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_xticks([])
        axes.set_yticks(np.arange(len(shown)) * (height + gap) + height / 2, shown, fontsize=10)
        axes.tick_params(length=0)
        axes.set_anchor("E")  # In the middle, names would reach the edge.
        axes.spines[:].set_visible(False)
        total = len(self.class_names)
        part = f" (the first {len(shown)} of {total})" if len(shown) < total else ""
        figure.suptitle(f"Training images by class{part}", x=0.02, ha="left", fontsize=12)
        return figure
