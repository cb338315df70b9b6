"""The journal's page: its content, and its use in a browser."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from cnn_ablation.report import journal, page
from tests.conftest import CHROMIUM, needs_chromium
from tests.report.test_journal import chapter, row, verdict

NOTICE = "This is a demo, and no evidence."
LARGEST = 4_000_000
"""Bytes of a page that can be sent by mail."""

WIDTHS = (400, 1000, 1600)
RUNS = "http://127.0.0.1:5000/"
PATIENCE = 60_000
"""Milliseconds within which something must happen, even on a busy machine."""


@pytest.fixture(scope="module")
def html() -> str:
    """The page of two experiments, whose texts would break out of their elements if not escaped."""
    verdicts = [
        verdict("a_with_a_long_name_that_does_not_wrap_by_itself", "supported", estimate=1.5, low=1.0),
        verdict("b", "undecided", low=-50.0, seeds_needed=1200, worker_minutes=150.0),
        verdict("c", "undecided", seeds_needed=9, worker_minutes=30.0, unit="s", metric="seconds"),
    ]
    numbers = [row("final_val_accuracy", agrees=True)]
    dropout = chapter(
        "Drop <b>out</b>", verdicts=verdicts, reproduction=numbers, figures=figures("dropout")
    )
    last = [verdict("d", "contradicted")]
    pooling = chapter("Pooling </script>", verdicts=last, figures=figures("pooling"))
    other = chapter("Other")
    other["tables"]["trial_metrics"]["mean_val_accuracy"][0] += 0.001
    chapters = {
        "dropout": dropout,
        "pooling": pooling,
        "other": other,
        "lost": None,
    }
    return page.write_page(journal.write_markdown(chapters, NOTICE), chapters, "http://127.0.0.1:5000/")


def figures(experiment: str) -> dict[str, tuple[str, bytes]]:
    content = BytesIO()
    Image.new("RGB", (1100, 400), "white").save(content, "PNG")
    return {kind: (f"reports/{experiment}/{kind}.png", content.getvalue()) for kind in journal.FIGURES}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(html: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "journal.html"
    file.write_text(html, "utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The page in a window. Any error of a script, or request for another file, is a fault."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        window = context.new_page()
        window.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        faults: list[str] = []
        window.on("pageerror", lambda error: faults.append(str(error)))
        window.on("console", lambda message: faults.append(message.text))
        window.on("request", lambda request: faults.append(request.url))
        window.goto(address)
        yield window
        assert [fault for fault in faults if fault != address and not fault.startswith("data:")] == []


def test_the_page_is_one_small_file(html: str) -> None:
    assert len(html.encode()) < LARGEST
    text = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    addresses = re.findall(r"(?:src|href)=\"(.*?)\"", text)
    assert len(addresses) > 8
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)


def test_texts_from_conf_are_escaped(html: str) -> None:
    text = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "Drop &lt;b&gt;out&lt;/b&gt;" in text
    assert "<b>out" not in text
    assert "Pooling </script>" not in html


def test_tables_have_captions_and_headers(html: str) -> None:
    text = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) > 8
    for table in tables:
        assert re.search(r"<caption>.+</caption>", table)
        headers = re.findall(r"<th(?: [^>]*)?>", table)
        assert all('scope="col"' in header or 'scope="row"' in header for header in headers)
        assert table.count('scope="row"') == table.count("<tr>") - 1


def test_pairs_are_those_of_the_tables_of_pairs() -> None:
    data = page.collect_data({"dropout": chapter("Dropout"), "other": chapter("Other")}, "")
    assert [pair[:2] for pair in data["pairs"]] == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    difference, low, high, seeds, paired = data["pairs"][0][2:]
    # The differences are -1, -0.7 and -1: a mean of -0.9 and a standard error of 0.1.
    assert (difference, seeds, paired) == (-0.9, 3, True)
    assert (low, high) == pytest.approx((-0.9 - 4.3027 * 0.1, -0.9 + 4.3027 * 0.1), abs=1e-4)
    assert data["pairs"][1][2:] == [0.0, None, None, 3, True], "equal results show no spread"


def test_the_tables_of_chapters_have_different_names(html: str) -> None:
    text = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    names = re.findall(r'role="region" aria-label="(.*?)"', text)
    assert len(names) == len(set(names))
    assert "Drop &lt;b&gt;out&lt;/b&gt;: results" in names
    assert "Verdicts" in names


def test_the_chart_of_claims_explains_its_marks() -> None:
    claims = [verdict("a", "supported"), verdict("b", "supported", kind="at_least", margin=0.0)]
    data = page.collect_data({"dropout": chapter("Dropout", verdicts=claims)}, "")
    assert data["experiments"]["dropout"]["marks"] == (
        "Differences right of 0 have the claimed direction. For claims of a lower bound, the tick is "
        "the bound, and differences right of it agree. Grey band: differences that do not matter."
    )


@needs_chromium
def test_verdicts_are_sorted(opened: Page) -> None:
    table = opened.get_by_role("table", name="Verdicts", exact=True)
    header = table.get_by_role("columnheader", name="Seeds needed")
    button = header.get_by_role("button")
    button.focus()
    opened.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert _column(table, 6) == ["9", "1,200", "–", "–"]
    opened.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    assert _column(table, 6) == ["1,200", "9", "–", "–"], "unknown numbers are last in both orders"
    table.get_by_role("button", name="Training needed").click()
    assert _column(table, 7) == ["30 min", "2.5 h", "–", "–"]
    expect(header).not_to_have_attribute("aria-sort", "descending")


@needs_chromium
def test_verdicts_are_filtered(opened: Page) -> None:
    table = opened.get_by_role("table", name="Verdicts", exact=True)
    rows = table.locator("tbody tr:visible")
    opened.get_by_label("Verdict", exact=True).select_option("? undecided")
    expect(rows).to_have_count(2)
    opened.get_by_label("Text").fill("claim C")
    expect(rows).to_have_count(1)
    expect(opened.get_by_text("1 of 4 claims", exact=True)).to_be_visible()
    opened.get_by_label("Text").fill("")
    opened.get_by_label("Verdict", exact=True).select_option("all")
    opened.get_by_label("Experiment", exact=True).select_option("Pooling </script>")
    expect(rows).to_have_count(1)
    opened.get_by_label("Experiment", exact=True).select_option("all")
    expect(rows).to_have_count(4)


@needs_chromium
def test_two_conditions_are_compared(opened: Page) -> None:
    section = opened.locator("#compare")
    section.scroll_into_view_if_needed()
    status = section.get_by_role("status")
    expect(status).to_have_text(
        "one − two: −0.90 points (95 % interval −1.33 to −0.47; 3 seeds, paired)"
    )
    expect(section.locator("svg.marks")).to_be_visible()
    expect(section.locator("[role=graphics-document]")).to_have_attribute(
        "aria-label", re.compile("^Each seed's diff")
    )
    expect(section.locator(".hint")).to_have_text("")
    rows = section.locator("tbody tr")
    assert [line.split() for line in rows.all_inner_texts()][1][:4] == ["1", "91.40", "92.10", "−0.70"]
    run = section.get_by_role("link", name="91.00")
    expect(run).to_have_attribute("href", f"{RUNS}#/runs/run 1")
    section.get_by_label("Condition").select_option("1")
    section.get_by_label("minus").select_option("0")
    expect(status).to_have_text("two − one: 0.90 points (95 % interval 0.47 to 1.33; 3 seeds, paired)")
    section.get_by_label("minus").select_option("1")
    expect(status).to_have_text("Choose two different conditions.")
    section.get_by_label("minus").select_option("3")
    expect(status).to_contain_text("two (Drop <b>out</b>) − two (Pooling </script>): ")
    section.get_by_label("Condition").select_option("0")
    section.get_by_label("minus").select_option("4")
    expect(rows.first.locator("td").nth(2)).to_have_text("0.00")  # -0.001


@needs_chromium
@pytest.mark.parametrize("kind", journal.FIGURES)
def test_a_chart_takes_the_place_of_the_figure(opened: Page, kind: str) -> None:
    figure = opened.locator(f"figure[data-experiment=dropout][data-chart={kind}]")
    figure.scroll_into_view_if_needed()
    expect(figure.locator("svg.marks").first).to_be_visible()
    expect(figure.locator("svg.marks")).to_have_count(2 if kind == "claims" else 1)  # a panel per unit
    expect(figure.locator("img")).to_be_hidden()


@needs_chromium
def test_intervals_that_are_cut_off_are_marked(opened: Page) -> None:
    hint = "An arrow marks an interval that is cut off at the edge."
    for experiment, cut in (("dropout", True), ("pooling", False)):
        figure = opened.locator(f"figure[data-experiment={experiment}][data-chart=claims]")
        figure.scroll_into_view_if_needed()
        expect(figure.locator("svg.marks").first).to_be_visible()
        assert (hint in figure.locator(".hint").inner_text()) == cut
        arrows = figure.get_by_label("arrow: triangle-")
        expect(arrows).to_have_count(int(cut))


@needs_chromium
def test_a_seeds_trial_is_shown_and_linked(opened: Page) -> None:
    figure = opened.locator("figure[data-experiment=dropout][data-chart=comparison]")
    figure.scroll_into_view_if_needed()
    seed = figure.get_by_label("Trial: drop <b>out</b> one 0")
    seed.hover(force=True)
    tooltip = opened.locator("#vg-tooltip-element.visible")
    expect(tooltip).to_contain_text("91.00")
    expect(tooltip).to_contain_text("drop <b>out</b> one 0")
    expect(tooltip).to_contain_text("run 1")
    opened.context.route(f"{RUNS}**", lambda route: route.fulfill(body="MLflow"))
    with opened.context.expect_page() as run:
        seed.click(force=True)
    run.value.wait_for_url(f"{RUNS}#/runs/run%201")
    run.value.close()
    opened.mouse.move(0, 0)


@needs_chromium
def test_contents_stay_in_view_and_appendices_are_folded(opened: Page) -> None:
    opened.get_by_role("link", name="Appendix: environment and data").click()
    expect(opened.get_by_text("Fingerprint of the data")).to_be_visible()
    expect(opened.get_by_role("navigation", name="Contents")).to_be_in_viewport()
    expect(opened.get_by_text("There are no published numbers")).to_have_count(0)
    expect(opened.get_by_role("table", name="Appendix: published and measured numbers")).to_be_hidden()


@needs_chromium
def test_the_contents_show_the_current_section_on_a_phone(browser: Browser, address: str) -> None:
    with browser.new_context(viewport={"width": 400, "height": 700}) as context:
        window = context.new_page()
        window.goto(address)
        heading = window.get_by_role("heading", name="Overall conclusions")
        heading.evaluate("e => e.scrollIntoView()")
        link = window.get_by_role("link", name="Overall conclusions")
        expect(link).to_have_attribute("aria-current", "true", timeout=PATIENCE)
        expect(link).to_be_in_viewport(ratio=0.9)
        expect(heading).to_be_in_viewport()


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_is_legible(
    browser: Browser, address: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=width != 1000
    ) as context:
        window = context.new_page()
        window.goto(address)
        assert window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        notice = window.locator("blockquote")
        expect(notice).to_have_text(NOTICE)
        for element in (window.locator("body"), notice, window.locator("nav")):
            text, paper = (
                _luminance(element.evaluate(f"e => getComputedStyle(e)[{name!r}]"))
                for name in ("color", "backgroundColor")
            )
            assert (paper < 0.5) == (scheme == "dark")
            lighter, darker = max(text, paper), min(text, paper)
            assert (lighter + 0.05) / (darker + 0.05) >= 7, "contrast as WCAG 2 AAA asks for"


@needs_chromium
def test_without_scripts_and_on_paper_the_figures_remain(
    browser: Browser, address: str, opened: Page
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        window = context.new_page()
        window.goto(address)
        expect(window.get_by_text("This comparison needs JavaScript")).to_be_visible()
        images = window.locator("figure img")
        expect(images).to_have_count(2 * len(journal.FIGURES))
        assert all(image.is_visible() for image in images.all())
        expect(window.locator("form:visible, button:visible")).to_have_count(0)
        window.get_by_text("Appendix: environment and data").last.click()
        expect(window.get_by_text("Fingerprint of the data")).to_be_visible()
    opened.emulate_media(media="print")
    assert all(image.is_visible() for image in opened.locator("figure img").all())
    expect(opened.locator("svg.marks:visible, nav:visible, input:visible")).to_have_count(0)
    opened.emulate_media(media="screen")


def _column(table: Locator, index: int) -> list[str]:
    return [row.locator("th, td").nth(index).inner_text() for row in table.locator("tbody tr").all()]


def _luminance(color: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, 0 to 1 (WCAG 2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
