"""Confusion matrix of one condition."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST_PRINTED = 0.05
"""Percentages below it would be printed as 0.0 and stay blank."""


@dataclass(frozen=True, eq=False)
class ConfusionMatrix(Drawing):
    """Percentage of each true class's images per predicted class, for the 20 least recognized classes.

    Args:
        title: Title of the experiment.
        condition: The best condition, whose networks predicted; see `champion.best_trial`.
        matrix: Counts, summed over seeds, int (classes, classes); a row per true class.
        class_names: Name per class.
        seeds: Number of networks that the counts come from.
    """

    title: str
    condition: str
    matrix: np.ndarray
    class_names: list[str]
    seeds: int

    def draw(self) -> "Figure":
        """See base class."""
        percent = 100 * self.matrix / self.matrix.sum(axis=1, keepdims=True)
        shown = np.sort(np.argsort(percent.diagonal())[: style.MAX_CLASSES])
        percent, names = percent[np.ix_(shown, shown)], [self.class_names[index] for index in shown]
        size = len(names)
        with style.applied():
            figure = style.new_figure(0.62 * size + 2.6, 0.55 * size + 2.2)
            axes = figure.subplots()
            axes.grid(visible=False)
            image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100)
            for (row, column), value in np.ndenumerate(percent):
                if value >= SMALLEST_PRINTED:
                    axes.text(
                        column,
                        row,
                        f"{value:.1f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if value < 55 else "black",
                    )
            axes.set_xticks(range(size), names, rotation=40, ha="right")
            axes.set_yticks(range(size), names)
            axes.set_xlabel("Predicted class")
            axes.set_ylabel("True class")
            axes.set_title(f"{self.condition}, the best condition")
            figure.colorbar(image, ax=axes, label="Share of the true class's images (%)", shrink=0.8)
            style.heading(figure, f"{self.title}: confusion matrix")
            networks = f"{self.seeds} networks, one per seed" if self.seeds > 1 else "1 network"
            total = len(self.matrix)
            part = f" Only the {size} least recognized of {total} classes." if size < total else ""
            style.caption(
                figure,
                f"Validation images; {networks}. Values below {SMALLEST_PRINTED} % are blank.{part}",
            )
        return figure
