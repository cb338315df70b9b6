"""The documentation matches the project."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, STUDY

PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_errors_in_the_faq_match_the_code() -> None:
    """The fixed parts of each error in bold appear in the code."""
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    # Join strings that span several lines.
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    headings = re.findall(r"^\*\*`(.*?)`\*\*", (ROOT / "docs/faq.md").read_text(), re.MULTILINE)
    assert len(headings) > 10
    for heading in headings:
        words = max(re.split(r"[…0-9'{}]+|\b\S+[./@]\S+|: ", heading), key=len).strip()
        assert words in code, heading


def test_the_readme_counts_the_verdicts_of_the_published_study() -> None:
    tables = [pd.read_csv(ROOT / f"docs/study/{name}/verdicts.csv") for name in STUDY]
    counts = pd.concat(tables)["verdict"].value_counts()
    sentence = re.search(
        r"per condition, (\d+) of the published journal's (\d+) claims are supported, (\d+) are "
        r"contradicted, (\d+) are equivalent .*?, in (\d+) the claimed best is among the best, and "
        r"(\d+) are undecided",
        " ".join((ROOT / "README.md").read_text().split()),
    )
    assert sentence is not None
    supported, claims, *others = map(int, sentence.groups())
    assert claims == counts.sum()
    names = ["supported", "contradicted", "equivalent", "among the best", "undecided"]
    assert [supported, *others] == counts[names].tolist()
