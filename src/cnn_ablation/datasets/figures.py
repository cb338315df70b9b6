"""Figures as PNG files."""

from pathlib import Path

from kedro_datasets.matplotlib import MatplotlibDataset

from cnn_ablation.report.figures import Drawing


class FigureDataset(MatplotlibDataset):  # type: ignore[misc]
    """A drawing, saved as a PNG file and loaded as that file, or as None where there is none.

    The file keeps the drawing's digest: what it shows already is not drawn again.
    """

    def save(self, data: Drawing) -> None:
        """Draw, unless the file shows this very drawing."""
        digest = data.digest()
        if _read_digest(Path(self._get_save_path())) != digest:
            self._save_args |= {"metadata": {DIGEST: digest}}
            super().save(data.draw())

    def load(self) -> tuple[str, bytes] | None:
        """Path and content of the file, or None."""
        path = Path(self._get_load_path())
        return (path.as_posix(), path.read_bytes()) if path.is_file() else None


DIGEST = "Drawing"
"""Text chunk of a PNG file: the digest of the drawing that it shows."""


def _read_digest(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.verify()
            return image.info.get(DIGEST)
    except (OSError, SyntaxError):  # There is none, or it is broken: Pillow raises both.
        return None
