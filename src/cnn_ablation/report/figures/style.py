"""The look that all figures share: colours, settings of Matplotlib, headings, captions and labels.

Every seed's result is drawn, with the mean and its spread beside it. Accuracies of conditions differ by
tenths of a point, so axes are cut to the results, and each figure says so. The palette of Okabe and Ito
("Color universal design", 2008) can be told apart with any kind of colour vision; heat maps use cividis.
"""

from contextlib import AbstractContextManager
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

MARKERS = "os^Dv<>P"

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
"""Settings of Matplotlib."""

MAX_CLASSES = 20
"""Largest number of classes that a figure with a row per class can show legibly."""

CAPTION_CHARACTERS_PER_INCH = 14

SETTING_LABELS = {
    "batch_size": "Batch size (images)",
    "conv_channels": "Channels of the convolutional layers",
    "fc_units": "Units of the hidden fully connected layers",
    "kernel_size": "Kernel size (pixels)",
    "use_batch_norm": "Batch normalization",
    "use_pooling": "Max pooling",
}
"""Axis labels of settings whose names do not say enough."""


def applied() -> AbstractContextManager[None]:
    """A context in which Matplotlib uses `STYLE`."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, independent of pyplot: no global state keeps it alive, and no window can open.

    Args:
        width: Inches.
        height: Inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: "Figure", text: str) -> None:
    """Write a bold line above a figure."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=13, fontweight="bold")


def caption(figure: "Figure", text: str) -> None:
    """Write lines of text below a figure, wrapped to its width."""
    width = int(CAPTION_CHARACTERS_PER_INCH * figure.get_figwidth())
    lines = [wrapped for line in text.splitlines() for wrapped in wrap(line, width)]
    # supxlabel takes part in the constrained layout, where a plain text would overlap the axes.
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=9, color="#444444")


def color(index: int) -> str:
    """The colour of the series with this index.

    Colours repeat after the seventh, and markers after the eighth: 56 series have different pairs.
    """
    return COLORS[index % len(COLORS)]


def marker(index: int) -> str:
    """The marker of the series with this index; see `color`."""
    return MARKERS[index % len(MARKERS)]


def axis_label(setting: str) -> str:
    """The label of an axis along which a setting varies.

    Args:
        setting: Dotted path of the setting, such as `training.optimizer.learning_rate`.
    """
    name = setting.rpartition(".")[2]
    return SETTING_LABELS.get(name, name.replace("_", " ").capitalize())


def level_text(value: Any) -> str:
    """The text of a setting's value on an axis or in a legend."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "–".join(map(str, value)) or "none"
    return str(value)
