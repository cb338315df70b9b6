"""The journal, a report of the study that is generated from its results.

Each experiment gives a chapter, which a template turns into Markdown and then into a page of HTML.
"""

import base64
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from cnn_ablation.errors import StudyError
from cnn_ablation.evidence.effects import Effect
from cnn_ablation.evidence.published import OTHER_SETTINGS
from cnn_ablation.evidence.wording import duration, quantity
from cnn_ablation.execution.store import StoredTrial
from cnn_ablation.study.claims import PLACES
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.groups import MAIN_STUDY
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.quantities import PRIMARY_METRIC
from cnn_ablation.study.trials import Trial

SIGNS = {
    "supported": "✔",
    "among the best": "★",
    "equivalent": "≈",
    "contradicted": "✘",
    "undecided": "?",
}
"""Sign of each verdict, in the order of the summary."""

MEANS = (
    PRIMARY_METRIC,
    *("final_val_accuracy", "best_val_accuracy", "eval_train_accuracy", "generalization_gap"),
    *("mean_val_loss", "seconds_per_epoch"),
)
"""Metrics whose means are in a chapter's table."""


class SavedFigure(NamedTuple):
    """The file of a figure.

    Args:
        path: Path of the file.
        png: Content of the file.
        reports: Path of the folder of reports, which has a folder per experiment, from that of the
            journal; empty if they are the same.
    """

    path: str
    png: bytes
    reports: str = ""

    @property
    def link(self) -> str:
        """Path relative to the folder of the journal."""
        return self.reports + "/".join(PurePosixPath(self.path).parts[-2:])


def collect_results(
    experiment: ExperimentParameters,
    trials: Sequence[Trial],
    stored: Sequence[StoredTrial],
    tables: Mapping[str, pd.DataFrame],
    final_model: Mapping[str, Any],
    data_summary: Mapping[str, Any],
) -> dict[str, Any]:
    """The results of an experiment for its chapter of the journal, in types that JSON can hold.

    Args:
        experiment: Parameters of the experiment.
        trials: All trials of the experiment.
        stored: Results of the trials that have one.
        tables: Tables by name: condition_summary, trial_metrics, pairs, noise_budget and reproduction.
        final_model: Report on the final model.
        data_summary: See `splits.summarize_splits`.
    """
    metrics = tables["trial_metrics"]
    finished = metrics[metrics["status"] == "finished"]
    conditions = {trial.condition.name: trial.condition for trial in trials}
    rows = []
    for summary in tables["condition_summary"].to_dict("records"):
        results = finished[finished["condition"] == summary["condition"]]
        low, high = Effect.of(results[PRIMARY_METRIC]).interval()
        rows.append(
            {
                "name": summary["condition"],
                "settings": _settings(conditions[summary["condition"]]),
                **{key: summary[key] for key in ("seeds", "diverged", "failed", "total_params")},
                **{metric: summary[f"{metric}_mean"] for metric in MEANS},
                "sd": summary[f"{PRIMARY_METRIC}_sd"],
                "final_sd": summary["final_val_accuracy_sd"],
                "low": low,
                "high": high,
            }
        )
    shared = dict(set.intersection(*({(k, str(v)) for k, v in row["settings"].items()} for row in rows)))
    content = {
        "title": experiment.title,
        "question": experiment.question,
        "hypothesis": experiment.hypothesis,
        "conditions": rows,
        "shared_settings": {key: shared[key] for key in rows[0]["settings"] if key in shared},
        "seeds": sorted({trial.seed for trial in trials}),
        "trials": len(trials),
        "pairs": tables["pairs"].to_dict("records"),
        "noise_budget": tables["noise_budget"].to_dict("records"),
        "reproduction": tables["reproduction"].to_dict("records"),
        "final_model": dict(final_model),
        "image_set": data_summary["name"],
        "images": data_summary["images"],
        "image_shape": data_summary["image_shape"],
        "class_names": data_summary["class_names"],
        "data_fingerprint": data_summary["fingerprint"],
        "environment": _environment(stored),
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def add_verdicts(
    results: Mapping[str, Any],
    verdicts: pd.DataFrame,
    evidence: EvidenceParameters,
    contrasts: int,
) -> dict[str, Any]:
    """A chapter of the journal: the results of an experiment and the verdicts on its claims.

    Args:
        results: See `collect_results`.
        verdicts: A row per claim, see `verdicts.judge`.
        evidence: Significance level, smallest effect that matters, and plan of the looks.
        contrasts: Number of distinct contrasts of the study.
    """
    return {
        **results,
        "evidence": evidence.model_dump(),
        "contrasts": contrasts,
        "verdicts": _plain(verdicts.to_dict("records")),
    }


def describe(chapter: Mapping[str, Any]) -> str:
    """A few lines of Markdown about an experiment: question, hypothesis and settled claims."""
    verdicts = chapter["verdicts"]
    settled = [verdict for verdict in verdicts if verdict["verdict"] != "undecided"]
    lines = [
        f"### {chapter['title']}",
        f"**Question:** {chapter['question']}",
        f"**Hypothesis:** {chapter['hypothesis']}",
        f"**Claims:** {len(settled)} of {len(verdicts)} settled by {len(chapter['seeds'])} seed(s)",
        "\n".join(f"- {SIGNS[v['verdict']]} {v['verdict']}: {v['text']}" for v in settled),
    ]
    return "\n\n".join(line for line in lines if line)


def study_of(chapters: Mapping[str, Mapping[str, Any] | None]) -> str | None:
    """The study that all chapters belong to, if it has a journal of its own; None for all others."""
    studies = {chapter["experiment"]["study"] for chapter in chapters.values() if chapter is not None}
    return next(iter(studies)) if len(studies) == 1 and not studies & {None, MAIN_STUDY} else None


def write_markdown(
    chapters: Mapping[str, Mapping[str, Any] | None],
    figures: Mapping[str, Sequence[SavedFigure | None]],
    study: str | None = None,
) -> str:
    """The journal as Markdown.

    Args:
        chapters: Per experiment, in the order of the journal; None if the experiment was not run.
        figures: Per experiment, its figures; None for a figure that does not exist.
        study: Name of the study, if it has a journal of its own.

    Raises:
        StudyError: No experiment was run.
    """
    written = {name: chapter for name, chapter in chapters.items() if chapter is not None}
    if not written:
        raise StudyError(
            "The journal has no content, because no experiment was run yet. "
            f"Run one first, for example: kedro run --pipeline={next(iter(chapters))}"
        )
    environment = Environment(
        loader=PackageLoader("cnn_ablation.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quantity": quantity, "duration": duration, "fixed": _fixed}
    return environment.get_template("journal.md.j2").render(
        chapters=written,
        missing=[name for name, chapter in chapters.items() if chapter is None],
        study=study,
        places=PLACES,
        figures={name: [f.link for f in figures[name] if f is not None] for name in written},
        signs=SIGNS,
        digits=lambda metric: 0 if metric == "total_params" else 3 if "loss" in metric else 2,
        **_findings(written),
    )


def write_html(markdown: str, figures: Mapping[str, Sequence[SavedFigure | None]]) -> str:
    """The journal as a single HTML page with embedded figures."""
    embedded = {
        figure.link: "data:image/png;base64," + base64.b64encode(figure.png).decode()
        for saved in figures.values()
        for figure in saved
        if figure is not None
    }

    def image(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        source = str(tokens[index].attrs["src"])
        tokens[index].attrs["src"] = embedded.get(source, source)
        return self.image(tokens, index, options, env)

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", image)
    # A wide table scrolls inside its own box instead of widening the page.
    parser.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    template = Environment(loader=PackageLoader("cnn_ablation.report"), autoescape=True)
    title = markdown.splitlines()[0].removeprefix("# ")
    return template.get_template("journal.html.j2").render(title=title, body=parser.render(markdown))


def _findings(chapters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values that the template derives from all chapters together."""
    verdicts = [
        verdict | {"experiment": name}
        for name, chapter in chapters.items()
        for verdict in chapter["verdicts"]
    ]
    counts = Counter(verdict["verdict"] for verdict in verdicts)
    conditions = [
        condition | {"experiment": name}
        for name, chapter in chapters.items()
        for condition in chapter["conditions"]
        if condition[PRIMARY_METRIC] is not None
    ]
    pairs = [pair for chapter in chapters.values() for pair in chapter["pairs"]]
    budgets = [row for chapter in chapters.values() for row in chapter["noise_budget"]]
    best = max(conditions, key=lambda condition: condition[PRIMARY_METRIC], default=None)
    return {
        "verdicts": verdicts,
        "counts": {verdict: counts[verdict] for verdict in SIGNS},
        "best": best,
        "without_results": [
            chapter["title"]
            for chapter in chapters.values()
            if all(condition[PRIMARY_METRIC] is None for condition in chapter["conditions"])
        ],
        "rivals": _rivals(best, chapters[best["experiment"]]) if best else [],
        "noise": {
            part: _median(row[part] for row in budgets)
            for part in ("last_step_sd", "seed_sd", "final_sd", "images_se")
        },
        "optimism": statistics.mean(c["best_val_accuracy"] - c["final_val_accuracy"] for c in conditions)
        if conditions
        else None,
        "correlation": _median(pair["correlation"] for pair in pairs),
        "paired_seeds": _median(pair["seeds_needed"] for pair in pairs),
        "unpaired_seeds": _median(pair["unpaired_seeds_needed"] for pair in pairs),
        "repeats": _published_repeats(chapters),
        "disagreements": [
            row | {"experiment": name}
            for name, chapter in chapters.items()
            for row in chapter["reproduction"]
            if row["agrees"] is False or row["note"]
        ],
        "compared": sum(len(chapter["reproduction"]) for chapter in chapters.values()),
        "agreeing": sum(
            row["agrees"] is True for chapter in chapters.values() for row in chapter["reproduction"]
        ),
    }


def _rivals(best: Mapping[str, Any], chapter: Mapping[str, Any]) -> list[str]:
    """Conditions of the experiment that cannot be distinguished from the best one."""
    rivals = []
    for pair in chapter["pairs"]:
        names = (pair["condition"], pair["other"])
        if best["name"] in names and (pair["low"] is None or pair["low"] <= 0 <= pair["high"]):
            rivals.append(names[1 - names.index(best["name"])])
    return rivals


def _published_repeats(chapters: Mapping[str, Mapping[str, Any]]) -> list[list[float]]:
    """Published final accuracies, sorted, per group of conditions that differ only in name."""
    groups: dict[str, list[float]] = {}
    for chapter in chapters.values():
        settings = {condition["name"]: str(condition["settings"]) for condition in chapter["conditions"]}
        for row in chapter["reproduction"]:
            if row["metric"] == "final_val_accuracy" and OTHER_SETTINGS not in (row["note"] or ""):
                groups.setdefault(settings[row["condition"]], []).append(row["published"])
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _settings(condition: Any) -> dict[str, Any]:
    settings = condition.settings()
    return {
        "architecture": settings.pop("model.kind"),
        **{name.partition(".")[2].removesuffix(".kind"): value for name, value in settings.items()},
    }


def _environment(stored: Sequence[StoredTrial]) -> dict[str, list[str]]:
    """The environments in which the trials were trained: per fact, all distinct values."""
    facts = {
        "device": [trial.identity["device"] for trial in stored],
        "precision": [trial.identity["precision"] for trial in stored],
        "libraries": [_versions(trial.identity["libraries"]) for trial in stored],
        "code": [_versions(trial.identity["versions"]) for trial in stored],
        "commit": [trial.manifest.get("commit") or "unknown" for trial in stored],
        "trained": [trial.manifest["trained_at"][:10] for trial in stored],
    }
    return {name: sorted(set(values)) for name, values in facts.items()}


def _versions(versions: Mapping[str, Any]) -> str:
    return " and ".join(f"{name} {version}" for name, version in versions.items())


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _fixed(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def _plain(value: Any) -> Any:
    """The value in built-in types, with None for missing values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
