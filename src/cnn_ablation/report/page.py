"""The journal as one page of HTML that needs no other file.

The text is the journal's Markdown. Scripts add what Markdown cannot express: tables that can be sorted
and filtered, interactive charts in place of the figures, and the comparison of any two conditions.
Without scripts, and on paper, the page shows the text and the figures.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from io import BytesIO
from itertools import combinations
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token

from cnn_ablation.evidence.effects import contrast
from cnn_ablation.evidence.measuring import rounding_step
from cnn_ablation.report.chapters import (
    best_condition,
    conditions_of,
    histories_of,
    run_chapters,
    trial_metrics_of,
)
from cnn_ablation.report.figures.claims import explain_marks
from cnn_ablation.report.journal import figure_link, study_of
from cnn_ablation.study.quantities import PRIMARY_METRIC

CURVES = ("val_accuracy", "train_accuracy", "val_loss", "train_loss")

DESCRIPTIONS = {
    "comparison": "Each seed's validation accuracy, and each condition's mean with its 95 % interval.",
    "claims": "Each claimed difference with its 95 % interval, the claimed size and the verdict.",
    "learning_curves": "Accuracy and loss by epoch, for each condition.",
    "confusion_matrix": "Share of each true class's images by predicted class.",
}
"""Text alternative of each figure."""

CLAIM_COLUMNS = [
    *("text", "comparison", "unit", "verdict", "estimate", "low", "high"),
    *("claimed", "kind", "margin", "seeds", "seeds_needed"),
]
"""Fields of a claim that its chart shows."""

FOLDED = "Appendix"
"""Beginning of the headings whose sections are folded."""


def write_page(
    markdown: str, chapters: Mapping[str, Mapping[str, Any] | None], runs_address: str
) -> str:
    """The journal as a page.

    Args:
        markdown: See `journal.write_markdown`.
        chapters: See `journal.write_markdown`.
        runs_address: Address of MLflow's user interface, with which links to runs begin; see
            `datasets.MlflowAddressDataset`.
    """
    import vl_convert

    written = run_chapters(chapters)
    text = _Text(markdown, written)
    environment = Environment(
        loader=PackageLoader("cnn_ablation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates = files("cnn_ablation.report") / "templates"
    return environment.get_template("journal.html.j2").render(
        title=text.title,
        contents=text.contents,
        first=text.first,
        others=text.others,
        style=(templates / "journal.css").read_text("utf-8"),
        library=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
        script="".join((templates / name).read_text("utf-8") for name in ("charts.js", "journal.js")),
        data=_script_data(collect_data(written, runs_address)),
    )


def collect_data(chapters: Mapping[str, Mapping[str, Any]], runs_address: str) -> dict[str, Any]:
    """The data of the page's scripts, in types that JSON can hold.

    Returns:
        runs_address; experiments, by name: title, names of conditions and of the best one, trials,
        means, claims, the meaning of their marks, curves and confusion; and pairs of conditions, see
        `_pair_conditions`.
    """
    return {
        "runs_address": runs_address,
        "experiments": {
            name: {
                "title": chapter["title"],
                "names": [row["name"] for row in chapter["conditions"]],
                "best": (best_condition(chapter["conditions"]) or {}).get("name"),
                "trials": _trials(chapter),
                "means": [
                    {"condition": row["name"], "mean": row[PRIMARY_METRIC]}
                    | {key: row[key] for key in ("low", "high", "seeds")}
                    for row in chapter["conditions"]
                    if row[PRIMARY_METRIC] is not None
                ],
                "claims": (claims := _claims(chapter)),
                "marks": explain_marks(pd.DataFrame(claims, columns=CLAIM_COLUMNS)),
                "curves": _curves(chapter),
                "confusion": chapter["confusion"],
            }
            for name, chapter in chapters.items()
        },
        "pairs": _pair_conditions(chapters),
    }


def _claims(chapter: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The claims about differences that have an estimate."""
    return [
        {key: verdict[key] for key in CLAIM_COLUMNS}
        for verdict in chapter["verdicts"]
        if verdict["is_difference"] and verdict["estimate"] is not None
    ]


def _trials(chapter: Mapping[str, Any]) -> list[dict[str, Any]]:
    table = trial_metrics_of(chapter).rename(columns={PRIMARY_METRIC: "accuracy"})
    table = table[["condition", "seed", "key", "status", "accuracy"]].assign(run=chapter["mlflow_runs"])
    rows: list[dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return rows


def _curves(chapter: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Mean and range over seeds of each curve, a row per condition, epoch and curve."""
    histories = histories_of(chapter)
    if histories.empty:
        return []
    long = histories.melt(["condition", "epoch"], CURVES, "curve").dropna()
    table = long.astype({"value": float}).groupby(["condition", "epoch", "curve"], sort=False)["value"]
    rows: list[dict[str, Any]] = (
        table.agg(mean="mean", low="min", high="max").round(4).reset_index().to_dict("records")
    )
    return rows


def _pair_conditions(chapters: Mapping[str, Mapping[str, Any]]) -> list[list[Any]]:
    """The paired difference of any two conditions.

    Returns:
        For each pair: numbers of the two conditions, difference, low and high (95 % interval), number of
        seeds, whether the difference is paired. Conditions are numbered over all experiments, in order.
    """
    columns, steps = [], []
    for chapter in chapters.values():
        metrics = trial_metrics_of(chapter)
        finished = metrics[metrics["status"] == "finished"]
        conditions = conditions_of(chapter)
        for row in chapter["conditions"]:
            condition = conditions[row["name"]]
            of_condition = finished[finished["condition"] == condition.name]
            columns.append(of_condition.set_index("seed")[PRIMARY_METRIC])
            steps.append(
                rounding_step(PRIMARY_METRIC, [condition], chapter["images"], chapter["moments"])
            )
    values = pd.concat(columns, axis=1, keys=range(len(columns))) if columns else pd.DataFrame()
    pairs = []
    for one, other in combinations(range(len(columns)), 2):
        step = max(steps[one], steps[other])
        effect = contrast(values, {one: 1, other: -1}, step)  # type: ignore[dict-item]
        low, high = effect.interval()
        numbers = [None if pd.isna(x) else round(x, 4) for x in (effect.estimate, low, high)]
        pairs.append([one, other, *numbers, effect.seeds, effect.paired])
    return pairs


def _script_data(data: Any) -> str:
    """JSON for a script element, which no text in it can end."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


class _Text:
    """The text of the page, made from Markdown.

    Args:
        markdown: The journal.
        chapters: Chapters by name.
    """

    def __init__(self, markdown: str, chapters: Mapping[str, Mapping[str, Any]]) -> None:
        self.title = markdown.splitlines()[0].removeprefix("# ")
        self.contents: list[tuple[str, str]] = []
        study = study_of(chapters)
        self._figures = {
            figure_link(path, study): (name, kind, png)
            for name, chapter in chapters.items()
            for kind, (path, png) in chapter["figures"].items()
        }
        parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        tokens = [*self._figures_as_html(_tables_as_html(parser.parse(markdown)))]
        self.first, self.others = (
            str(parser.renderer.render(part, parser.options, {})) for part in self._sections(tokens)
        )

    def _figures_as_html(self, tokens: Iterable[Token]) -> Iterator[Token]:
        """Put the content of images into the page, as figures, which are not allowed in paragraphs."""
        for token in tokens:
            children = token.children or []
            if [child.type for child in children] != ["image"]:
                yield token
                continue
            name, kind, png = self._figures[str(children[0].attrs["src"])]
            source = "data:image/png;base64," + base64.b64encode(_reduced(png)).decode()
            yield _html(
                f'</p><figure data-experiment="{name}" data-chart="{kind}">'
                f"<figcaption>{escapeHtml(children[0].content)}</figcaption>"
                f'<img src="{source}" alt="{DESCRIPTIONS[kind]}"></figure><p>'
            )

    def _sections(self, tokens: Sequence[Token]) -> tuple[list[Token], list[Token]]:
        """Put each section into an element of its own, and return the first one and the others."""
        parts: tuple[list[Token], list[Token]] = ([], [])
        end = ""
        for index, token in enumerate(tokens):
            if token.type == "heading_open" and token.tag == "h2":
                parts[len(self.contents) > 1].append(_html(end))
                title = tokens[index + 1].content
                anchor = f"section-{len(self.contents) + 1}"
                self.contents.append((anchor, title))
                folded = title.startswith(FOLDED)
                start = f'<details id="{anchor}"><summary>' if folded else f'<section id="{anchor}">'
                end = "</details>\n" if folded else "</section>\n"
                parts[len(self.contents) > 1].append(_html(start))
            parts[len(self.contents) > 1].append(token)
            if token.type == "heading_close" and token.tag == "h2" and end == "</details>\n":
                parts[1].append(_html("</summary>\n"))
        parts[len(self.contents) > 1].append(_html(end))
        return parts


def _tables_as_html(tokens: Sequence[Token]) -> Iterator[Token]:
    """Give each table a caption and headers with a scope, and a box in which it scrolls.

    Otherwise, a wide table would widen the page.
    """
    chapter = ""
    heading = name = ""
    is_first = False
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[index + 1].content
            if token.tag == "h2":
                chapter = _experiment(title)
            heading = escapeHtml(title)
            # Every chapter has the same headings.
            name = escapeHtml(f"{chapter}: {title.lower()}") if chapter else heading
        elif token.type == "tr_open":
            is_first = tokens[index + 1].type == "td_open"
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "td_open" and is_first:
            token.tag = "th"
            token.attrSet("scope", "row")
        elif token.type == "td_close" and is_first:
            token.tag = "th"
            is_first = False
        if token.type == "table_open":
            yield _html(
                f'<div class="table" tabindex="0" role="region" aria-label="{name}">'
                f'<table data-name="{heading}"><caption>{name}</caption>\n'
            )
        elif token.type == "table_close":
            yield _html("</table></div>\n")
        else:
            yield token


def _experiment(heading: str) -> str:
    """The title of the experiment whose chapter has this heading; empty if it is another section."""
    found = re.fullmatch(r"Experiment \d+: (.*)", heading)
    return found[1] if found else ""


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def _reduced(png: bytes) -> bytes:
    """The image with 256 colours, in a third of the bytes."""
    from PIL import Image

    content = BytesIO()
    with Image.open(BytesIO(png)) as image:
        few = image.convert("RGB").quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(content, "PNG")
    return content.getvalue()
