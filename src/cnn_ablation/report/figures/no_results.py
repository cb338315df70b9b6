"""A replacement for a figure without content."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnn_ablation.report.figures import style
from cnn_ablation.report.figures.base import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class NoResults(Drawing):
    """A line of text instead of a figure without content.

    Args:
        title: Title of the experiment.
        reason: The reason, in words.
    """

    title: str
    reason: str

    def draw(self) -> "Figure":
        """See base class."""
        with style.applied():
            figure = style.new_figure(8, 1.6)
            style.heading(figure, self.title)
            style.caption(figure, self.reason)
        return figure
