"""Figures as PNG files."""

from pathlib import Path
from typing import Any, NewType

from cnn_ablation.datasets.base import FileDataset
from cnn_ablation.report.figures import Drawing

# Kedro-Viz recognizes the kind of a preview only by the name of its type.
ImagePreview = NewType("ImagePreview", str)


class FigureDataset(FileDataset[Drawing, tuple[str, bytes] | None]):
    """A figure as a PNG file.

    A `report.figures.Drawing` is saved, and the file is loaded. The file contains the drawing's digest,
    so that an unchanged drawing is not drawn again. Arguments are those of `FileDataset`.
    """

    def save(self, data: Drawing) -> None:
        """Draw the figure, unless the file already shows this drawing."""
        digest = data.digest()
        if (_read_texts(self._filepath) or {}).get(DIGEST) != digest:
            import matplotlib as mpl

            with mpl.rc_context():
                # A matplotlibrc of the user's may choose another format, or need LaTeX.
                mpl.rcdefaults()
                # Names of conditions, classes and files may contain dollars, which are no formulas.
                mpl.rcParams["text.parse_math"] = False
                self._writer(format="png", metadata={DIGEST: digest}).save(data.draw())

    def load(self) -> tuple[str, bytes] | None:
        """Return path and content of the file; see `read_figure`."""
        return read_figure(self._filepath)

    def preview(self) -> ImagePreview:
        """Return the image as Kedro-Viz shows it."""
        return ImagePreview(self._writer().preview())

    def _writer(self, **save_args: Any) -> Any:
        from kedro_datasets.matplotlib import MatplotlibDataset

        return MatplotlibDataset(filepath=self._filepath.as_posix(), save_args=save_args)


DIGEST = "Drawing"
"""Key of the text chunk that holds the digest in a PNG file."""


def read_figure(path: Path) -> tuple[str, bytes] | None:
    """Path and content of a PNG file, or None if it is missing or damaged."""
    return None if _read_texts(path) is None else (path.as_posix(), path.read_bytes())


def _read_texts(path: Path) -> dict[Any, Any] | None:
    """The text chunks of a PNG file, or None if it is missing or damaged."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.verify()
            return image.info
    # There is no file, or it is damaged: Pillow then raises errors of almost any type.
    except Exception:
        return None
