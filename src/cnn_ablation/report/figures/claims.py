"""Claims about differences, with the evidence for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing
from cnn_ablation.study.quantities import PRIMARY_METRIC, UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS: Mapping[str, tuple[str, str]] = {
    "supported": (style.COLORS[2], "o"),
    "among the best": (style.COLORS[4], "*"),
    "equivalent": (style.COLORS[0], "s"),
    "contradicted": (style.COLORS[1], "X"),
    "undecided": ("#767676", "D"),
}
"""Colour and marker of each verdict."""

UNIT_ORDER = [*dict.fromkeys(UNITS.values()), "%", "ratio"]
"""Order of the panels. Those of other units follow."""

DIRECTED = ("above", "best", "trend", "interaction")
"""Kinds of claims whose differences have the claimed direction right of 0."""

BOUNDS = {
    "at_most": "For claims of an upper bound, the tick is the bound, and differences left of it agree.",
    "at_least": "For claims of a lower bound, the tick is the bound, and differences right of it agree.",
}
"""Meaning of the tick by kind of claim, for the kinds that claim a bound."""

REACH = 1.5
"""How far an axis reaches, in multiples of the largest estimate, claimed size or margin."""


@dataclass(frozen=True, eq=False)
class Claims(Drawing):
    """A forest plot with a panel per unit: each difference with its interval, and the claimed size.

    Args:
        title: Title of the experiment.
        verdicts: A row per claim, see `verdicts.judge`. Claims about differences are drawn.
    """

    title: str
    verdicts: pd.DataFrame

    def draw(self) -> "Figure":
        """See base class."""
        differences = self.verdicts[self.verdicts["is_difference"].astype(bool)]
        drawn = differences.dropna(subset="estimate")
        found = set(drawn["unit"])
        units = [*(unit for unit in UNIT_ORDER if unit in found), *sorted(found - {*UNIT_ORDER})]
        panels = {unit: drawn[drawn["unit"] == unit] for unit in units} or {"points": drawn}
        counts = [max(len(rows), 1) for rows in panels.values()]
        with style.applied():
            figure = style.new_figure(10, 0.62 * sum(counts) + 0.8 * len(panels) + 1.6)
            grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=counts)[:, 0]
            for axes, (unit, rows) in zip(grid, panels.items(), strict=True):
                _plot_panel(axes, unit, rows)
            for verdict, (color, marker) in MARKS.items():
                grid[0].plot([], [], marker, color=color, label=verdict)
            grid[0].plot([], [], "|", color="black", markersize=12, label="claimed size")
            figure.legend(loc="outside right upper", title="Verdict")
            style.heading(figure, f"{self.title}: claims")
            style.caption(figure, self._caption(drawn))
        return figure

    def _caption(self, drawn: pd.DataFrame) -> str:
        seeds = sorted(set(drawn["seeds"]))
        spread = (
            "One seed gives no interval."
            if seeds in ([], [1])
            else f"Bars: 95 % interval of each difference ({' or '.join(map(str, seeds))} seeds). "
            "An arrow marks a bar that is cut off."
        )
        missing = len(self.verdicts) - len(drawn)
        rest = f" Claims about single values ({missing}) are in the journal." if missing else ""
        wider = "Verdicts use wider intervals, which hold for all claims of a study at once."
        return f"{explain_marks(drawn)} {spread} {wider}{rest}".lstrip()


def explain_marks(claims: pd.DataFrame) -> str:
    """What 0, the tick and the grey band mean for these claims, in sentences.

    Args:
        claims: A row per claim that is drawn: kind and margin.
    """
    kinds = set(claims["kind"])
    banded = set(claims.loc[claims["margin"] > 0, "kind"])
    sentences = {
        "Differences right of 0 have the claimed direction.": kinds & {*DIRECTED},
        **{text: kinds & {kind} for kind, text in BOUNDS.items()},
        "Grey band: differences that do not matter.": banded - {"difference"},
        "Grey band around a claimed size: differences that agree with it.": banded & {"difference"},
    }
    return " ".join(sentence for sentence, concerned in sentences.items() if concerned)


def _plot_panel(axes: "Axes", unit: str, rows: pd.DataFrame) -> None:
    low, high = _limits(rows)
    axes.axvline(0, color="#444444", linewidth=1)
    for position, (_, row) in enumerate(rows.iterrows()):
        color, marker = MARKS[row["verdict"]]
        centre = row["claimed"] if row["kind"] == "difference" else 0.0
        if row["margin"] > 0:
            axes.barh(
                position, 2 * row["margin"], 0.9, centre - row["margin"], color="#E8E8E8", zorder=0
            )
        if row["low"] < row["high"]:
            ends = np.clip([row["low"], row["high"]], low, high)
            axes.plot(ends, [position] * 2, color=color, linewidth=2)
            for end, limit, arrow in ((row["low"], low, "<"), (row["high"], high, ">")):
                if not low <= end <= high:
                    axes.plot(limit, position, arrow, color=color, markersize=7, clip_on=False)
        if not pd.isna(row["claimed"]):
            axes.plot(row["claimed"], position, "|", color="black", markersize=14, markeredgewidth=2)
        axes.plot(row["estimate"], position, marker, color=color, markersize=8)
    axes.set_xlim(low, high)
    axes.set_yticks(range(len(rows)), [_label(row) for _, row in rows.iterrows()], fontsize=8.5)
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    of_accuracy = " of accuracy" if unit == "points" else ""
    axes.set_xlabel(f"Measured difference ({unit}{of_accuracy})")


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis, which a single wide interval does not stretch."""
    if rows.empty:
        return -1.0, 1.0
    inner = [rows["estimate"], rows["claimed"].astype(float), rows["margin"]]
    reach = REACH * max(float(np.nanmax(np.abs(column))) for column in inner if column.notna().any())
    ends = pd.concat([rows["low"], rows["high"], -rows["margin"], *inner]).dropna().clip(-reach, reach)
    room = 0.05 * max(ends.max() - ends.min(), 1e-9)
    return min(ends.min(), 0) - room, max(ends.max(), 0) + room


def _label(row: pd.Series) -> str:
    metric = "" if row["metric"] == PRIMARY_METRIC else f" [{row['metric']}]"
    return "\n".join(wrap(f"{row['text']}{metric}", 58))
