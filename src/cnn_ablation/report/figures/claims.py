"""Claims about accuracy, with the evidence for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import pandas as pd

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing
from cnn_ablation.study.quantities import PRIMARY_METRIC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS: Mapping[str, tuple[str, str]] = {
    "supported": (style.COLORS[2], "o"),
    "among the best": (style.COLORS[4], "*"),
    "contradicted": (style.COLORS[1], "X"),
    "equivalent": (style.COLORS[0], "s"),
    "undecided": ("#767676", "D"),
}
"""Colour and marker of each verdict."""


@dataclass(frozen=True, eq=False)
class Claims(Drawing):
    """A forest plot: each claimed difference with its interval, 0, and the smallest effect that matters.

    Args:
        title: Title of the experiment.
        verdicts: A row per claim, see `verdicts.judge`. Differences in points are drawn.
        smallest_effect: Smallest difference that matters, points.
    """

    title: str
    verdicts: pd.DataFrame
    smallest_effect: float

    def draw(self) -> "Figure":
        """See base class."""
        points = self.verdicts[self.verdicts["unit"] == "points"]
        drawn = points[points["is_difference"].astype(bool)].dropna(subset="estimate")
        with style.applied():
            figure = style.new_figure(10, 0.62 * max(len(drawn), 1) + 2.2)
            axes = figure.subplots()
            axes.axvspan(-self.smallest_effect, self.smallest_effect, color="#E8E8E8", zorder=0)
            axes.axvline(0, color="#444444", linewidth=1)
            for position, (_, row) in enumerate(drawn.iterrows()):
                color, marker = MARKS[row["verdict"]]
                if row["low"] < row["high"]:
                    axes.plot([row["low"], row["high"]], [position] * 2, color=color, linewidth=2)
                axes.plot(row["estimate"], position, marker, color=color, markersize=8)
            for verdict, (color, marker) in MARKS.items():
                axes.plot([], [], marker, color=color, label=verdict)
            labels = [_label(row) for _, row in drawn.iterrows()]
            axes.set_yticks(range(len(drawn)), labels, fontsize=8.5)
            axes.set_ylim(len(drawn) - 0.4, -0.6)
            axes.grid(visible=False, axis="y")
            axes.set_xlabel("Claimed difference (points of accuracy)")
            figure.legend(loc="outside right upper", title="Verdict")
            style.heading(figure, f"{self.title}: claims")
            seeds = sorted(set(drawn["seeds"]))
            spread = (
                "One seed gives no interval."
                if seeds in ([], [1])
                else f"Bars: 95 % t intervals, not adjusted ({' or '.join(map(str, seeds))} seeds)."
            )
            style.caption(
                figure,
                "Differences right of 0 have the claimed direction. Differences in the grey band, below "
                f"{self.smallest_effect:g} points, do not matter; claims of no difference predict them. "
                f"{spread} Verdicts use wider intervals, which hold for all claims of a study at once.",
            )
        return figure


def _label(row: pd.Series) -> str:
    metric = "" if row["metric"] == PRIMARY_METRIC else f" [{row['metric']}]"
    return "\n".join(wrap(f"{row['text']}{metric}", 58))
