"""Learning curves of the conditions."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import pandas as pd

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing
from cnn_ablation.report.figures.outliers import within_fences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (
    ("train_accuracy", "Training accuracy, with dropout (%)"),
    ("val_accuracy", "Validation accuracy (%)"),
    ("train_loss", "Training loss, with dropout (nats)"),
    ("val_loss", "Validation loss (nats)"),
)
"""Column and title of each panel."""

TOGETHER = 7
"""Most conditions that share a panel. More get a panel each, because they could not be told apart."""

COLUMNS = 4
"""Number of panels side by side if each condition has its own."""


@dataclass(frozen=True, eq=False)
class LearningCurves(Drawing):
    """Training and validation per epoch, mean and range over seeds.

    Few conditions share panels of accuracy and loss. Many get a panel of accuracies each, in front of
    the other conditions' validation accuracies. Trials that end as outliers are named instead of drawn,
    see `outliers.within_fences`.

    Args:
        title: Title of the experiment.
        histories: A row per trial and epoch: condition, seed, epoch and the four curves.
    """

    title: str
    histories: pd.DataFrame

    def draw(self) -> "Figure":
        """See base class."""
        seeds = self.histories["seed"].nunique()
        kept, notes = _without_outliers(self.histories)
        conditions = dict(list(kept.groupby("condition", sort=False)))
        with style.applied():
            if len(conditions) <= TOGETHER:
                figure, explanation = _plot_together(conditions), ""
            else:
                figure = _plot_apart(conditions)
                explanation = "Grey: validation accuracy of the other conditions. "
            notes += _cut_off_outliers(figure, kept)
            style.heading(figure, f"{self.title}: learning curves")
            lines = f"mean; bands: range over {seeds} seeds" if seeds > 1 else "one seed"
            style.caption(
                figure,
                f"Lines: {lines}. {explanation}Axes are cut to the curves and do not start at 0.{notes}",
            )
        return figure


def _without_outliers(histories: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The histories of trials that do not end as outliers, and a line for each condition with others."""
    trials = histories.groupby(["condition", "seed"], sort=False)["val_accuracy"].last()
    inside = within_fences(trials)
    outside = trials[~inside].groupby("condition", sort=False)
    notes = "".join(
        f"\nNot drawn: {condition}: {len(accuracies)} of {len(trials[condition])} trials, which end at "
        + ", ".join(f"{accuracy:.1f} %" for accuracy in accuracies)
        for condition, accuracies in outside
    )
    kept = histories.set_index(["condition", "seed"]).loc[inside[inside].index]
    return kept.reset_index(), notes


def _cut_off_outliers(figure: "Figure", histories: pd.DataFrame) -> str:
    """Cut the axes of accuracy below all conditions but outliers. Return a line that names these."""
    accuracies = histories.groupby("condition", sort=False)[["train_accuracy", "val_accuracy"]]
    lowest = accuracies.min().min(axis="columns")
    inside = within_fences(lowest)
    if inside.all():
        return ""
    bottom = lowest[inside].min()
    for axes in figure.axes:
        low, high = axes.get_ylim()
        # An axis of losses ends far below.
        if high > bottom:
            axes.set_ylim(max(low, bottom - 0.05 * (high - bottom)), high)
    return f"\nBelow the axes at first: {', '.join(lowest[~inside].index)}"


def _plot_together(conditions: Mapping[str, pd.DataFrame]) -> "Figure":
    figure = style.new_figure(10, 7.4)
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    for axes, (metric, label) in zip(grid.flat, PANELS, strict=True):
        for index, (condition, rows) in enumerate(conditions.items()):
            _plot_curve(axes, rows, metric, style.color(index), style.marker(index), condition)
        axes.set_title(label)
        axes.tick_params(labelleft=True)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in grid[1]:
        axes.set_xlabel("Epoch")
    # Matplotlib would leave out names that begin with an underscore.
    lines, names = grid[0, 0].get_lines(), list(conditions)
    figure.legend(lines, names, loc="outside right upper", title="Condition")
    return figure


def _plot_apart(conditions: Mapping[str, pd.DataFrame]) -> "Figure":
    down = -(-len(conditions) // COLUMNS)
    figure = style.new_figure(11, 2.4 * down + 1.2)
    grid = figure.subplots(down, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes, (condition, rows) in zip(grid.flat, conditions.items(), strict=False):
        for other in conditions.values():
            curve = other.groupby("epoch")["val_accuracy"].mean()
            axes.plot(curve.index, curve, color="#C8C8C8", linewidth=0.8, zorder=1)
        _plot_curve(axes, rows, "train_accuracy", style.color(1), "s", "training, with dropout")
        _plot_curve(axes, rows, "val_accuracy", style.color(0), "o", "validation")
        axes.set_title("\n".join(wrap(condition, 26)), fontsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in grid.flat[len(conditions) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("Accuracy (%)")
    # The lowest panel of a column may have hidden ones below it.
    for axes in grid.flat[: len(conditions)][-COLUMNS:]:
        axes.set_xlabel("Epoch")
        axes.tick_params(labelbottom=True)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    return figure


def _plot_curve(
    axes: "Axes", rows: pd.DataFrame, metric: str, color: str, marker: str, label: str
) -> None:
    curve = rows.groupby("epoch")[metric].agg(["mean", "min", "max"])
    axes.plot(
        curve.index,
        curve["mean"],
        color=color,
        marker=marker,
        markersize=4,
        linewidth=1.5,
        label=label,
    )
    axes.fill_between(curve.index, curve["min"], curve["max"], color=color, alpha=0.15, linewidth=0)
