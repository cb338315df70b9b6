"""The journal's page in a browser: at desktop and phone width, in light and dark."""

import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from cnn_ablation.report import journal
from cnn_ablation.report.figures import LearningCurves
from cnn_ablation.report.journal import SavedFigure
from tests.conftest import CHROMIUM, needs_chromium
from tests.report.test_journal import chapter, row, verdict

pytestmark = needs_chromium
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=2000",
]
PROBE = """
<script>
addEventListener("load", () => {
  const style = getComputedStyle(document.body);
  document.body.dataset.probe = JSON.stringify({
    overflow: document.documentElement.scrollWidth - innerWidth,
    images: [...document.images].map(image => image.naturalWidth),
    text: style.color, paper: style.backgroundColor,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    verdicts = [
        verdict("a_with_a_long_name_that_does_not_wrap_by_itself", "supported"),
        verdict("b", "undecided", seeds_needed=17, worker_minutes=150.0),
    ]
    wide = chapter("Dropout", verdicts=verdicts, reproduction=[row("final_val_accuracy", agrees=True)])
    image = tmp_path_factory.mktemp("figure") / "dropout" / "figure.png"
    image.parent.mkdir()
    LearningCurves("Dropout", _histories()).draw().savefig(image)
    drawn = {"dropout": [SavedFigure(str(image), image.read_bytes())]}
    html = journal.write_html(journal.write_markdown({"dropout": wide}, drawn), drawn)
    file = tmp_path_factory.mktemp("page") / "journal.html"
    file.write_text(html.replace("</body>", f"{PROBE}</body>"))
    return file


def _histories() -> pd.DataFrame:
    curves = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")
    return pd.DataFrame(
        {"condition": "one", "seed": 0, "epoch": epoch, **dict.fromkeys(curves, 90.0 + epoch)}
        for epoch in (1, 2)
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_is_legible(page: Path, tmp_path: Path, width: int, *, dark: bool) -> None:
    options = [f"--user-data-dir={tmp_path}", f"--window-size={width},1000"]
    if dark:
        options.append("--blink-settings=preferredColorScheme=0")
    else:
        options.append("--blink-settings=preferredColorScheme=1")
    result = subprocess.run(
        [str(CHROMIUM), *OPTIONS, *options, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-probe="(.*?)"', result.stdout)
    assert found is not None, result.stderr
    probe = json.loads(found.group(1).replace("&quot;", '"'))
    assert probe["overflow"] <= 0, "tables scroll by themselves, the page does not"
    assert probe["images"]
    assert all(probe["images"])
    text, paper = (_luminance(probe[name]) for name in ("text", "paper"))
    assert (paper < 0.5) == dark
    lighter, darker = max(text, paper), min(text, paper)
    assert (lighter + 0.05) / (darker + 0.05) >= 7, "contrast as WCAG 2 AAA asks for"


def _luminance(color: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, 0 to 1 (WCAG 2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
