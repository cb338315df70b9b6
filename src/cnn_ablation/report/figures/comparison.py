"""The conditions of an experiment side by side."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing
from cnn_ablation.report.figures.outliers import within_fences
from cnn_ablation.report.summary_table import mean_and_sd, unfinished
from cnn_ablation.study.quantities import PRIMARY_METRIC

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCURACY = "Validation accuracy in the last epoch (%)"


LARGEST_LEVEL = 1e300
"""Matplotlib needs the distance between two ends of an axis to be a finite number."""


@dataclass(frozen=True, eq=False)
class Comparison(Drawing):
    """Validation accuracy of each condition, in a form that suits the experiment's factors.

    One factor gives a plot along its levels, two factors give a heat map beside a plot of the seeds, and
    named conditions or more factors give a ranking.

    Args:
        title: Title of the experiment.
        question: The experiment's question.
        levels: Per condition, the level of each factor; empty for named conditions.
        trial_metrics: A row per trial: condition, seed, and the primary metric.
        condition_summary: A row per condition, see `scores.summarize_conditions`.
    """

    title: str
    question: str
    levels: dict[str, dict[str, Any]]
    trial_metrics: pd.DataFrame
    condition_summary: pd.DataFrame

    def draw(self) -> "Figure":
        """See base class."""
        factors = list(next(iter(self.levels.values())))
        summary = self.condition_summary.set_index("condition")
        with style.applied():
            match factors:
                case [factor]:
                    figure = self._plot_levels(factor, summary)
                case [down, across]:
                    figure = self._plot_heat_map(down, across, summary)
                case _:
                    figure = self._plot_ranking(summary)
            style.heading(figure, self.title)
            lines = [self.question, _legend_of_spread(summary), *self._outside()]
            style.caption(figure, "\n".join(lines))
        return figure

    def _plot_levels(self, factor: str, summary: pd.DataFrame) -> "Figure":
        values = [self.levels[condition][factor] for condition in summary.index]
        numeric = all(
            isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_LEVEL
            for value in values
        )
        positions = (
            [float(value) for value in values] if numeric else list(map(float, range(len(values))))
        )
        figure = style.new_figure(max(5.6, 1.8 * len(values) + 1.2), 5)
        axes = figure.subplots()
        geometric = numeric and _is_geometric(positions)
        if geometric:
            positions = [math.log10(position) for position in positions]
        step = min(np.diff(sorted(positions)), default=1.0)
        for condition, position in zip(summary.index, positions, strict=True):
            accuracies = self._accuracies(condition)
            _plot_spread(axes, position, accuracies, 0.1 * step, style.color(0))
        ticks = [
            _tick(value, summary.loc[condition], summary)
            for condition, value in zip(summary.index, values, strict=True)
        ]
        axes.set_xticks(positions, ticks)
        axes.set_xlim(min(positions) - 0.6 * step, max(positions) + 0.6 * step)
        axes.set_xlabel(style.axis_label(factor) + (" (logarithmic)" if geometric else ""))
        axes.grid(visible=False, axis="x")
        self._cut_axis(axes)
        return figure

    def _plot_heat_map(self, down: str, across: str, summary: pd.DataFrame) -> "Figure":
        rows = _distinct(level[down] for level in self.levels.values())
        columns = _distinct(level[across] for level in self.levels.values())
        row_texts, column_texts = list(map(style.level_text, rows)), list(map(style.level_text, columns))
        means = np.full((len(rows), len(columns)), np.nan)
        for condition, level in self.levels.items():
            means[rows.index(level[down]), columns.index(level[across])] = summary.loc[
                condition, f"{PRIMARY_METRIC}_mean"
            ]
        figure = style.new_figure(
            max(10.5, 2.9 * len(columns) + 1.6 * len(rows) + 2), max(5, 0.8 * len(rows) + 2)
        )
        heat, dots = figure.subplots(1, 2, width_ratios=(1, 1))
        # A narrower range than the results would show noise as contrast.
        middle, half = (np.nanmax(means) + np.nanmin(means)) / 2, np.ptp(means[~np.isnan(means)]) / 2
        low, high = middle - max(half, 0.5), middle + max(half, 0.5)
        image = heat.imshow(means, cmap="cividis", aspect="auto", vmin=low, vmax=high)
        for condition, level in self.levels.items():
            row, column = rows.index(level[down]), columns.index(level[across])
            results = summary.loc[condition]
            heat.text(
                column,
                row,
                "\n".join([mean_and_sd(results, PRIMARY_METRIC), *unfinished(results)]),
                ha="center",
                va="center",
                color="white" if means[row, column] < (low + high) / 2 else "black",
            )
        heat.set_yticks(range(len(rows)), row_texts)
        heat.set_xticks(range(len(columns)), column_texts)
        heat.set_ylabel(style.axis_label(down))
        heat.set_xlabel(style.axis_label(across))
        heat.set_title("Mean ± standard deviation over seeds")
        heat.grid(visible=False)
        figure.colorbar(
            image,
            ax=heat,
            label=f"{ACCURACY}\ncolours from {low:.1f} to {high:.1f} %, not from 0",
            shrink=0.9,
        )
        for index, (value, text) in enumerate(zip(columns, column_texts, strict=True)):
            color, marker = style.color(index), style.marker(index)
            apart = min(0.24, 0.9 / len(columns))
            for condition, level in self.levels.items():
                if level[across] == value:
                    position = rows.index(level[down]) + apart * (index - (len(columns) - 1) / 2)
                    accuracies = self._accuracies(condition)
                    _plot_spread(dots, position, accuracies, 0.03, color, marker=marker)
            dots.plot([], [], marker, color=color, label=text)
        dots.set_xticks(range(len(rows)), row_texts)
        dots.set_xlim(-0.6, len(rows) - 0.4)
        dots.set_xlabel(style.axis_label(down))
        dots.set_title("Each seed, mean and interval")
        dots.grid(visible=False, axis="x")
        figure.legend(loc="outside right upper", title=style.axis_label(across))
        self._cut_axis(dots)
        return figure

    def _plot_ranking(self, summary: pd.DataFrame) -> "Figure":
        ranked = summary.sort_values(f"{PRIMARY_METRIC}_mean", kind="stable")
        figure = style.new_figure(9, 0.75 * len(ranked) + 2.4)
        axes = figure.subplots()
        for position, condition in enumerate(ranked.index):
            accuracies = self._accuracies(condition)
            _plot_spread(axes, position, accuracies, 0.1, style.color(0), horizontal=True)
        ticks = [_tick(condition, ranked.loc[condition], ranked) for condition in ranked.index]
        axes.set_yticks(range(len(ranked)), ticks)
        axes.set_ylim(-0.6, len(ranked) - 0.4)
        axes.grid(visible=False, axis="y")
        self._cut_axis(axes, horizontal=True)
        return figure

    def _accuracies(self, condition: str) -> np.ndarray:
        """A condition's accuracies, percent, in the order of the seeds."""
        trials = self.trial_metrics[self.trial_metrics["condition"] == condition]
        finished = trials.dropna(subset=PRIMARY_METRIC).sort_values("seed")
        accuracies: np.ndarray = finished[PRIMARY_METRIC].to_numpy()
        return accuracies

    def _cut_axis(self, axes: "Axes", *, horizontal: bool = False) -> None:
        """Limit the accuracy axis to the results, and say so."""
        limits = self._accuracy_limits
        cut = ", not from 0" if limits[0] > 0 else ""
        label = f"{ACCURACY}\naxis from {limits[0]:.1f} to {limits[1]:.1f} %{cut}"
        if horizontal:
            axes.set_xlim(*limits)
            axes.set_xlabel(label)
        else:
            axes.set_ylim(*limits)
            axes.set_ylabel(label)

    @cached_property
    def _accuracy_limits(self) -> tuple[float, float]:
        """Limits that contain all results and bars, percent, except for outliers.

        They are at least a point apart, so that tiny differences do not fill the axis. Bars from few
        seeds, which can be much longer than the range of the results, are cut off. For outliers, see
        `outliers.within_fences`.
        """
        results = self.trial_metrics[PRIMARY_METRIC]
        results = results[within_fences(results)]
        reach = max(results.max() - results.min(), 1.0)
        lowest, highest = results.min() - reach, results.max() + reach
        conditions = self.condition_summary["condition"]
        bars = [_mean_and_interval(self._accuracies(condition)) for condition in conditions]
        ends = [
            np.clip(end, lowest, highest)
            for mean, *interval in bars
            if results.min() <= mean <= results.max()
            for end in interval
        ]
        drawn = pd.concat([results, pd.Series(ends, dtype=float)])
        low, high = drawn.min(), drawn.max()
        margin = max(0.15 * (high - low), (1 - (high - low)) / 2, 0.1)
        return max(0, low - margin), min(100, high + margin)

    def _outside(self) -> Iterator[str]:
        """A line for each condition with results outside of the accuracy axis."""
        low, high = self._accuracy_limits
        for condition in self.condition_summary["condition"]:
            accuracies = self._accuracies(condition)
            outside = accuracies[(accuracies < low) | (accuracies > high)]
            if len(outside):
                values = ", ".join(f"{accuracy:.1f} %" for accuracy in outside)
                yield f"Outside of the axis: {condition}: {values} (mean {accuracies.mean():.1f} %)."


def _plot_spread(
    axes: "Axes",
    position: float,
    accuracies: np.ndarray,
    width: float,
    color: str,
    *,
    marker: str = "o",
    horizontal: bool = False,
) -> None:
    """Plot the mean as a full point with its 95 % interval, and each seed as a hollow one beside it."""
    mean, low, high = _mean_and_interval(accuracies)
    count = len(accuracies)
    offsets = np.linspace(0.6, 2.4, count) * width if count > 1 else np.zeros(count)
    seeds = (position + offsets, accuracies)
    axes.plot(
        *(seeds[::-1] if horizontal else seeds),
        marker,
        markersize=5,
        markerfacecolor="white",
        markeredgecolor=color,
        alpha=0.8,
        zorder=2,
    )
    if count > 1:
        error = None if np.isnan(low) else [[mean - low], [high - mean]]
        axes.errorbar(
            mean if horizontal else position,
            position if horizontal else mean,
            xerr=error if horizontal else None,
            yerr=None if horizontal else error,
            fmt=marker,
            color=color,
            markersize=7,
            elinewidth=2,
            capsize=4,
            zorder=3,
        )


def _mean_and_interval(accuracies: np.ndarray) -> tuple[float, float, float]:
    # SciPy takes long to import, and every command imports this module.
    from cnn_ablation.evidence.effects import Effect

    mean = Effect.of(accuracies)
    return (mean.estimate, *mean.interval())


def _legend_of_spread(summary: pd.DataFrame) -> str:
    seeds = sorted(set(summary["seeds"]))
    if max(seeds) == 1:
        return "Hollow points: single runs. One seed gives no mean or spread."
    count = " or ".join(map(str, seeds))
    return (
        f"Hollow points: single runs ({count} seeds, in order); full points: their mean; bars: 95 % "
        "interval of the mean."
    )


def _is_geometric(positions: list[float]) -> bool:
    """Whether positive levels have more even ratios than differences, over at least a factor of 10."""
    ordered = sorted(positions)
    if len(ordered) < 3 or ordered[0] <= 0 or ordered[-1] < 10 * ordered[0]:
        return False
    logarithms = np.diff(np.log(ordered))
    differences = np.diff(ordered)
    return bool(logarithms.std() / logarithms.mean() < differences.std() / differences.mean())


def _tick(value: Any, results: pd.Series, summary: pd.DataFrame) -> str:
    lines = [style.level_text(value)]
    if summary["total_params"].nunique() > 1 and not pd.isna(results["total_params"]):
        lines.append(f"{int(results['total_params']):,} parameters")
    return "\n".join([*lines, *unfinished(results)])


def _distinct(values: Iterable[Any]) -> list[Any]:
    """The distinct values in their order; they need not be hashable."""
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct
