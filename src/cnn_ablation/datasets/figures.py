"""Figures as PNG files."""

from base64 import b64encode
from io import BytesIO
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
        before = read_figure(self._filepath)
        if before is not None and _texts(before[1]).get(DIGEST) == digest:
            self._written = before[1]
            return
        import matplotlib as mpl

        content = BytesIO()
        with mpl.rc_context():
            # A matplotlibrc of the user's may choose another format, or need LaTeX.
            mpl.rcdefaults()
            # Names of conditions, classes and files may contain dollars, which are no formulas.
            mpl.rcParams["text.parse_math"] = False
            data.draw().savefig(content, format="png", metadata={DIGEST: digest})
        self._write(content.getvalue())

    def load(self) -> tuple[str, bytes] | None:
        """Return path and content of the file; see `read_figure`."""
        if self._written is not None:
            return self._filepath.as_posix(), self._written
        return read_figure(self._filepath)

    def preview(self) -> ImagePreview:
        """Return the image as Kedro-Viz shows it."""
        return ImagePreview(b64encode(self._read()).decode())


DIGEST = "Drawing"
"""Key of the text chunk that holds the digest in a PNG file."""


def read_figure(path: Path) -> tuple[str, bytes] | None:
    """Path and content of a PNG file, or None if it is missing or damaged."""
    from PIL import Image

    try:
        content = path.read_bytes()
        with Image.open(BytesIO(content)) as image:
            image.verify()
    # There is no file, or it is damaged: Pillow then raises errors of almost any type.
    except Exception:
        return None
    return path.as_posix(), content


def _texts(content: bytes) -> dict[Any, Any]:
    """The text chunks of a PNG file."""
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        return image.info
