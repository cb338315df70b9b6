"""The figures of a study, one module per figure.

A figure is a frozen dataclass with a `draw` method. A new figure needs a module with such a class and an
entry in the list below. `style` holds the look that all figures share, `base` their base class.

Matplotlib is imported only when a figure is drawn.
"""

from cnn_ablation.report.figures.base import Drawing
from cnn_ablation.report.figures.claims import Claims
from cnn_ablation.report.figures.comparison import Comparison
from cnn_ablation.report.figures.confusion_matrix import ConfusionMatrix
from cnn_ablation.report.figures.contact_sheet import ContactSheet
from cnn_ablation.report.figures.learning_curves import LearningCurves
from cnn_ablation.report.figures.no_results import NoResults
from cnn_ablation.report.figures.samples import Samples

__all__ = [
    "Claims",
    "Comparison",
    "ConfusionMatrix",
    "ContactSheet",
    "Drawing",
    "LearningCurves",
    "NoResults",
    "Samples",
]
