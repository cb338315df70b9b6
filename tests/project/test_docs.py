"""The documentation speaks of what is there."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_errors_of_the_faq_are_those_of_the_code() -> None:
    """Each error in bold, between its variable parts, stands in the code."""
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    # Strings that are written over several lines, and the names in them.
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    headings = re.findall(r"^\*\*`(.*?)`\*\*", (ROOT / "docs/faq.md").read_text(), re.MULTILINE)
    assert len(headings) > 10
    for heading in headings:
        words = max(re.split(r"[…0-9'{}]+|\b\S+[./@]\S+|: ", heading), key=len).strip()
        assert words in code, heading
