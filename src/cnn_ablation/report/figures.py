"""Figures of a study, in one look: made to be read, not to impress.

Every seed's result is drawn, with the mean and its spread beside it. Accuracies of conditions differ by
tenths of points, so axes are cut to what differs, and each figure says so. Colours are Okabe and Ito's
("Color universal design", 2008), told apart with any colour vision, and cividis for heat maps.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cnn_ablation.report.summary_table import mean_and_sd
from cnn_ablation.study.claims import OF_ONE

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 150,
}
MOST_CLASSES = 20
"""That a figure with a row per class can hold and still be read."""

ACCURACY = "Final validation accuracy (%)"
SETTING_NAMES: Mapping[str, str] = {
    "dropout_rate": "Dropout rate",
    "use_batch_norm": "Batch normalization",
    "use_pooling": "Max pooling",
    "conv_channels": "Channels of the convolutional layers",
    "fc_units": "Units of the hidden fully connected layers",
    "kernel_size": "Kernel size (pixels)",
    "batch_size": "Batch size (images)",
    "learning_rate": "Learning rate",
    "weight_decay": "Weight decay",
    "optimizer": "Optimizer",
    "epochs": "Epochs",
    "momentum": "Momentum",
}


def samples(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], per_class: int = 10
) -> Figure:
    """The first images of each class, a row per class, of the first 20 classes.

    Args:
        images: uint8 (N, channels, height, width).
        labels: int (N,).
        class_names: Name per label.
        per_class: Images a row.
    """
    shown = class_names[:MOST_CLASSES]
    channels, height, width = images.shape[1:]
    # In one picture: axes of its own for each image would take seconds to lay out.
    gap = max(1, height // 10)
    blank = 0 if channels == 1 else 255  # Greys are drawn inverted.
    tile = (len(shown), per_class, height + gap, width + gap, channels)
    tiles = np.full(tile, blank, dtype=np.uint8)
    for label, row in enumerate(tiles):
        chosen = images[labels == label][:per_class]
        row[: len(chosen), :height, :width] = chosen.transpose(0, 2, 3, 1)
    picture = tiles.swapaxes(1, 2).reshape(len(shown) * (height + gap), -1, channels)
    figure = _figure(per_class * 0.62 + 1.4, len(shown) * 0.62 + 0.7)
    axes = figure.subplots()
    axes.imshow(picture.squeeze(), cmap="gray_r", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks(np.arange(len(shown)) * (height + gap) + height / 2, shown, fontsize=10)
    axes.tick_params(length=0)
    axes.set_anchor("E")  # In the middle, names would reach the edge.
    axes.spines[:].set_visible(False)
    part = f" (the first {len(shown)} of {len(class_names)})" if len(shown) < len(class_names) else ""
    figure.suptitle(f"Training images, by class{part}", x=0.02, ha="left", fontsize=12)
    return figure


def comparison(
    title: str,
    question: str,
    levels: Mapping[str, Mapping[str, Any]],
    trial_metrics: pd.DataFrame,
    condition_summary: pd.DataFrame,
) -> Figure:
    """The conditions of an experiment side by side: a form that suits its factors.

    One factor: its levels along an axis. Two: a heat map, and the same by seeds. Named conditions, or
    more factors: a ranking.

    Args:
        title: Of the experiment.
        question: What it asks.
        levels: Per condition, the value of each factor; empty for named conditions.
        trial_metrics: A row per trial: condition, seed, final_val_accuracy.
        condition_summary: As `evaluation.summarize_conditions` makes it.
    """
    factors = list(next(iter(levels.values())))
    draw = {1: _one_factor, 2: _two_factors}.get(len(factors), _ranking)
    with mpl.rc_context(STYLE):
        figure = draw(factors, levels, trial_metrics, condition_summary.set_index("condition"))
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        _caption(figure, f"{question}\n{_legend_of_spread(condition_summary)}")
    return figure


VERDICTS: Mapping[str, tuple[str, str]] = {
    "supported": (COLORS[2], "o"),
    "contradicted": (COLORS[1], "X"),
    "equivalent": (COLORS[0], "s"),
    "undecided": ("#767676", "D"),
}
"""Colour and marker of each verdict."""


def effects(title: str, verdicts: pd.DataFrame, smallest_effect: float) -> Figure:
    """A forest plot: each claimed difference with its interval, against 0 and what matters.

    Args:
        title: Of the experiment.
        verdicts: As `verdicts.judge` makes it; differences in points are drawn.
        smallest_effect: Half the width of the band of differences that do not matter, points.
    """
    drawn = verdicts[(verdicts["unit"] == "points") & ~verdicts["kind"].isin(OF_ONE)].dropna(
        subset="estimate"
    )
    with mpl.rc_context(STYLE):
        figure = _figure(10, 0.62 * max(len(drawn), 1) + 2.2)
        axes = figure.subplots()
        axes.axvspan(-smallest_effect, smallest_effect, color="#E8E8E8", zorder=0)
        axes.axvline(0, color="#444444", linewidth=1)
        for position, (_, row) in enumerate(drawn.iterrows()):
            color, marker = VERDICTS[row["verdict"]]
            if row["low"] < row["high"]:
                axes.plot([row["low"], row["high"]], [position] * 2, color=color, linewidth=2)
            axes.plot(row["estimate"], position, marker, color=color, markersize=8)
        for verdict, (color, marker) in VERDICTS.items():
            axes.plot([], [], marker, color=color, label=verdict)
        labels = [_claim_label(row) for _, row in drawn.iterrows()]
        axes.set_yticks(range(len(drawn)), labels, fontsize=8.5)
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("Claimed difference (points of accuracy)")
        figure.legend(loc="outside right upper", title="Verdict")
        figure.suptitle(f"{title}: claims", x=0.01, ha="left", fontsize=13, fontweight="bold")
        seeds = sorted(set(drawn["seeds"]))
        spread = (
            "one seed: no interval can be given"
            if seeds in ([], [1])
            else f"bars: 95 % t intervals, not adjusted ({' or '.join(map(str, seeds))} seeds)"
        )
        _caption(
            figure,
            f"Right of 0: as claimed; claims of no difference are borne out inside the grey band, where "
            f"differences, below {smallest_effect:g} points, do not matter. "
            f"{spread[0].upper()}{spread[1:]}. Verdicts are adjusted for the number of claims.",
        )
    return figure


def _claim_label(row: pd.Series) -> str:
    metric = "" if row["metric"] == "final_val_accuracy" else f" [{row['metric']}]"
    return "\n".join(wrap(f"{row['text']}{metric}", 58))


def learning_curves(title: str, histories: pd.DataFrame) -> Figure:
    """Accuracy and loss per epoch while training and validating, mean and range over seeds.

    Args:
        title: Of the experiment.
        histories: A row per trial and epoch: condition, seed, epoch and the four curves.
    """
    panels = [
        ("train_accuracy", "Training accuracy, dropout on (%)"),
        ("val_accuracy", "Validation accuracy (%)"),
        ("train_loss", "Training loss, dropout on (nats)"),
        ("val_loss", "Validation loss (nats)"),
    ]
    seeds = histories["seed"].nunique()
    with mpl.rc_context(STYLE):
        figure = _figure(10, 7.4)
        grid = figure.subplots(2, 2, sharex=True, sharey="row")
        for axes, (metric, label) in zip(grid.flat, panels, strict=True):
            for index, (condition, rows) in enumerate(histories.groupby("condition", sort=False)):
                curve = rows.groupby("epoch")[metric].agg(["mean", "min", "max"])
                color, marker = _color(index), "os^Dv<>"[index % 7]
                axes.plot(
                    curve.index,
                    curve["mean"],
                    color=color,
                    marker=marker,
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
        figure.suptitle(f"{title}: learning curves", x=0.01, ha="left", fontsize=13, fontweight="bold")
        spread = f"band: range over {seeds} seeds" if seeds > 1 else "1 seed: no range can be shown"
        _caption(figure, f"Line: mean; {spread}. Axes are cut to the curves and do not start at 0.")
    return figure


def confusion_matrix(
    title: str, condition: str, matrix: np.ndarray, class_names: Sequence[str], seeds: int
) -> Figure:
    """Percentages of each true class's images by predicted class, for the 20 least recognized classes.

    Args:
        title: Of the experiment.
        condition: Whose networks predicted.
        matrix: Counts, summed over seeds, (classes, classes): row the true class.
        class_names: Name per class.
        seeds: How many networks the counts are of.
    """
    percent = 100 * matrix / matrix.sum(axis=1, keepdims=True)
    shown = np.sort(np.argsort(percent.diagonal())[:MOST_CLASSES])
    percent, names = percent[np.ix_(shown, shown)], [class_names[index] for index in shown]
    size = len(names)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = _figure(0.62 * size + 2.6, 0.55 * size + 2.2)
        axes = figure.subplots()
        image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100)
        for (row, column), value in np.ndenumerate(percent):
            if value >= 0.05:
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
        axes.set_title(f"{condition}: the condition of highest mean validation accuracy")
        figure.colorbar(image, ax=axes, label="Share of the true class's images (%)", shrink=0.8)
        figure.suptitle(f"{title}: confusion", x=0.01, ha="left", fontsize=13, fontweight="bold")
        networks = f"{seeds} networks (seeds)" if seeds > 1 else "1 network (seed)"
        part = f" The {size} of {len(matrix)} classes recognized least." if size < len(matrix) else ""
        _caption(figure, f"Validation images, {networks}; below 0.05 % left blank.{part}")
    return figure


def contact_sheet(images: Mapping[str, Any], predictions: pd.DataFrame, limit: int = 60) -> Figure:
    """The first images with what they were taken for.

    Args:
        images: Pillow images by file name.
        predictions: A row per image: file, class, probability.
        limit: How many are drawn.
    """
    shown = predictions.head(limit)
    columns = min(6, len(shown))
    rows = -(-len(shown) // columns)
    figure = _figure(1.9 * columns + 0.4, 2.3 * rows + 1)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (_, row) in zip(grid.flat, shown.iterrows(), strict=False):
        image = images[row["file"]].convert("RGBA")
        image.thumbnail((256, 256))
        axes.imshow(np.asarray(image))
        name = row["file"] if len(row["file"]) <= 24 else f"{row['file'][:21]}…"
        axes.set_title(f"{row['class']} {100 * row['probability']:.0f} %\n{name}", fontsize=8)
    more = len(predictions) - len(shown)
    figure.suptitle("Predicted classes", x=0.01, ha="left", fontsize=13, fontweight="bold")
    note = f" {more} more are in the table." if more else ""
    _caption(
        figure,
        f"Percentages: the network's own probability, which tends to be too confident.{note}",
    )
    return figure


def _one_factor(
    factors: list[str],
    levels: Mapping[str, Mapping[str, Any]],
    trial_metrics: pd.DataFrame,
    summary: pd.DataFrame,
) -> Figure:
    factor = factors[0]
    values = [levels[condition][factor] for condition in summary.index]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    positions = [float(value) for value in values] if numeric else list(map(float, range(len(values))))
    figure = _figure(max(5.6, 1.8 * len(values) + 1.2), 5)
    axes = figure.subplots()
    step = min(np.diff(sorted(positions)), default=1.0)
    for condition, position in zip(summary.index, positions, strict=True):
        accuracies = _accuracies(trial_metrics, condition)
        _draw_spread(axes, position, accuracies, summary.loc[condition], 0.12 * step, _color(0))
    ticks = [
        _tick(value, summary.loc[c], summary) for c, value in zip(summary.index, values, strict=True)
    ]
    axes.set_xticks(positions, ticks)
    axes.set_xlim(min(positions) - 0.6 * step, max(positions) + 0.6 * step)
    axes.set_xlabel(SETTING_NAMES.get(factor, factor))
    axes.grid(visible=False, axis="x")
    _cut_axis(axes, trial_metrics, summary)
    return figure


def _two_factors(
    factors: list[str],
    levels: Mapping[str, Mapping[str, Any]],
    trial_metrics: pd.DataFrame,
    summary: pd.DataFrame,
) -> Figure:
    down, across = factors
    rows = _distinct(level[down] for level in levels.values())
    columns = _distinct(level[across] for level in levels.values())
    means = np.full((len(rows), len(columns)), np.nan)
    for condition, level in levels.items():
        means[rows.index(level[down]), columns.index(level[across])] = summary.loc[
            condition, "final_val_accuracy_mean"
        ]
    figure = _figure(10.5, 5)
    heat, dots = figure.subplots(1, 2, width_ratios=(1, 1))
    low, high = _accuracy_limits(trial_metrics, summary)
    image = heat.imshow(means, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    for condition, level in levels.items():
        row, column = rows.index(level[down]), columns.index(level[across])
        heat.text(
            column,
            row,
            "\n".join(
                [
                    mean_and_sd(summary.loc[condition], "final_val_accuracy"),
                    *_losses(summary.loc[condition]),
                ]
            ),
            ha="center",
            va="center",
            color="white" if means[row, column] < (low + high) / 2 else "black",
        )
    heat.set_yticks(range(len(rows)), [_text(value) for value in rows])
    heat.set_xticks(range(len(columns)), [_text(value) for value in columns])
    heat.set_ylabel(SETTING_NAMES.get(down, down))
    heat.set_xlabel(SETTING_NAMES.get(across, across))
    heat.set_title("Mean over seeds")
    heat.grid(visible=False)
    figure.colorbar(
        image,
        ax=heat,
        label=f"{ACCURACY}\ncolours from {low:.1f} to {high:.1f} %, not from 0",
        shrink=0.9,
    )
    for index, column_value in enumerate(columns):
        for condition, level in levels.items():
            if level[across] == column_value:
                position = rows.index(level[down]) + 0.24 * (index - (len(columns) - 1) / 2)
                accuracies = _accuracies(trial_metrics, condition)
                _draw_spread(dots, position, accuracies, summary.loc[condition], 0.05, _color(index))
        dots.plot([], [], "o", color=_color(index), label=_text(column_value))
    dots.set_xticks(range(len(rows)), [_text(value) for value in rows])
    dots.set_xlim(-0.6, len(rows) - 0.4)
    dots.set_xlabel(SETTING_NAMES.get(down, down))
    dots.set_title("Each seed, mean and spread")
    dots.grid(visible=False, axis="x")
    figure.legend(loc="outside right upper", title=SETTING_NAMES.get(across, across))
    _cut_axis(dots, trial_metrics, summary)
    return figure


def _ranking(
    factors: list[str],
    levels: Mapping[str, Mapping[str, Any]],
    trial_metrics: pd.DataFrame,
    summary: pd.DataFrame,
) -> Figure:
    ranked = summary.sort_values("final_val_accuracy_mean", kind="stable")
    figure = _figure(9, 0.75 * len(ranked) + 2.4)
    axes = figure.subplots()
    for position, condition in enumerate(ranked.index):
        accuracies = _accuracies(trial_metrics, condition)
        _draw_spread(axes, position, accuracies, ranked.loc[condition], 0.1, _color(0), horizontal=True)
    ticks = [_tick(condition, ranked.loc[condition], ranked) for condition in ranked.index]
    axes.set_yticks(range(len(ranked)), ticks)
    axes.set_ylim(-0.6, len(ranked) - 0.4)
    axes.grid(visible=False, axis="y")
    _cut_axis(axes, trial_metrics, summary, horizontal=True)
    return figure


def _draw_spread(
    axes: Axes,
    position: float,
    accuracies: np.ndarray,
    summary: pd.Series,
    width: float,
    color: str,
    *,
    horizontal: bool = False,
) -> None:
    """Each seed as a hollow point, side by side; the mean as a full one with its sd as a bar."""
    mean, sd = summary["final_val_accuracy_mean"], summary["final_val_accuracy_sd"]
    count = len(accuracies)
    offsets = np.linspace(-width, width, count) if count > 1 else np.zeros(count)
    seeds = (position + offsets, accuracies)
    axes.plot(
        *(seeds[::-1] if horizontal else seeds),
        "o",
        markersize=5,
        markerfacecolor="white",
        markeredgecolor=color,
        alpha=0.8,
        zorder=2,
    )
    if count > 1:
        at = position + 2.2 * width
        axes.errorbar(
            mean if horizontal else at,
            at if horizontal else mean,
            xerr=sd if horizontal else None,
            yerr=None if horizontal else sd,
            fmt="o",
            color=color,
            markersize=7,
            elinewidth=2,
            capsize=4,
            zorder=3,
        )


def _cut_axis(
    axes: Axes, trial_metrics: pd.DataFrame, summary: pd.DataFrame, *, horizontal: bool = False
) -> None:
    """Limit the accuracy axis to the results, and say so."""
    limits = _accuracy_limits(trial_metrics, summary)
    label = f"{ACCURACY}\naxis from {limits[0]:.1f} to {limits[1]:.1f} %, not from 0"
    if horizontal:
        axes.set_xlim(*limits)
        axes.set_xlabel(label)
    else:
        axes.set_ylim(*limits)
        axes.set_ylabel(label)


def _accuracy_limits(trial_metrics: pd.DataFrame, summary: pd.DataFrame) -> tuple[float, float]:
    """Limits that results and bars fill, but no less than a point apart: a hair is no gulf."""
    mean, sd = summary["final_val_accuracy_mean"], summary["final_val_accuracy_sd"].fillna(0)
    drawn = pd.concat([trial_metrics["final_val_accuracy"], mean - sd, mean + sd])
    low, high = drawn.min(), drawn.max()
    margin = max(0.15 * (high - low), (1 - (high - low)) / 2, 0.1)
    return max(0, low - margin), min(100, high + margin)


def _legend_of_spread(summary: pd.DataFrame) -> str:
    seeds = sorted(set(summary["seeds"]))
    if max(seeds) == 1:
        return "Hollow points: one training each (1 seed: no mean or spread can be shown)."
    count = " or ".join(map(str, seeds))
    return (
        f"Hollow points: one training each ({count} seeds, in order); full points: their mean; bars: "
        "± 1 standard deviation."
    )


def _caption(figure: Figure, text: str) -> None:
    # 14 characters of this size fit an inch.
    width = int(14 * figure.get_figwidth())
    lines = [wrapped for line in text.splitlines() for wrapped in wrap(line, width)]
    # supxlabel takes part in the constrained layout, where a plain text would overlap the axes.
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=9, color="#444444")


def _tick(value: Any, row: pd.Series, summary: pd.DataFrame) -> str:
    lines = [_text(value)]
    if summary["total_params"].nunique() > 1 and not pd.isna(row["total_params"]):
        lines.append(f"{int(row['total_params']):,} parameters")
    return "\n".join([*lines, *_losses(row)])


def _losses(row: pd.Series) -> list[str]:
    """Trials of a condition that cannot be drawn, in words."""
    return [f"{int(row[fate])} {fate}" for fate in ("diverged", "failed") if row[fate]]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "–".join(map(str, value)) or "none"
    return str(value)


def _accuracies(trial_metrics: pd.DataFrame, condition: str) -> np.ndarray:
    trials = trial_metrics[trial_metrics["condition"] == condition].dropna(subset="final_val_accuracy")
    accuracies: np.ndarray = trials.sort_values("seed")["final_val_accuracy"].to_numpy()
    return accuracies


def _distinct(values: Any) -> list[Any]:
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]


def _figure(width: float, height: float) -> Figure:
    """A figure outside pyplot: nothing global keeps it alive, no window can open."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
