"""Learning curves of the conditions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (
    ("train_accuracy", "Training accuracy, with dropout (%)"),
    ("val_accuracy", "Validation accuracy (%)"),
    ("train_loss", "Training loss, with dropout (nats)"),
    ("val_loss", "Validation loss (nats)"),
)
"""Column and title of each panel."""

MARKERS = "os^Dv<>"


@dataclass(frozen=True, eq=False)
class LearningCurves(Drawing):
    """Training and validation accuracy and loss per epoch, mean and range over seeds.

    Args:
        title: Title of the experiment.
        histories: A row per trial and epoch: condition, seed, epoch and the four curves.
    """

    title: str
    histories: pd.DataFrame

    def draw(self) -> "Figure":
        """See base class."""
        seeds = self.histories["seed"].nunique()
        with style.applied():
            figure = style.new_figure(10, 7.4)
            grid = figure.subplots(2, 2, sharex=True, sharey="row")
            for axes, (metric, label) in zip(grid.flat, PANELS, strict=True):
                conditions = self.histories.groupby("condition", sort=False)
                for index, (condition, rows) in enumerate(conditions):
                    curve = rows.groupby("epoch")[metric].agg(["mean", "min", "max"])
                    color = style.color(index)
                    axes.plot(
                        curve.index,
                        curve["mean"],
                        color=color,
                        marker=MARKERS[index % len(MARKERS)],
                        markersize=4,
                        linewidth=1.5,
                        label=condition,
                    )
                    axes.fill_between(
                        curve.index, curve["min"], curve["max"], color=color, alpha=0.15, linewidth=0
                    )
                axes.set_title(label)
                axes.tick_params(labelleft=True)
                axes.xaxis.get_major_locator().set_params(integer=True)
            for axes in grid[1]:
                axes.set_xlabel("Epoch")
            handles, labels = grid[0, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside right upper", title="Condition")
            style.heading(figure, f"{self.title}: learning curves")
            lines = f"mean; bands: range over {seeds} seeds" if seeds > 1 else "one seed"
            style.caption(figure, f"Lines: {lines}. Axes are cut to the curves and do not start at 0.")
        return figure
