"""The journal, a report of the study that is generated from its results.

Each experiment gives a chapter, which a template turns into Markdown. `page` makes HTML from that.
"""

import math
import os
import platform
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from cnn_ablation import __version__
from cnn_ablation.data.splits import COLUMNS
from cnn_ablation.errors import StudyError
from cnn_ablation.evidence.effects import Effect
from cnn_ablation.evidence.published import OTHER_SETTINGS
from cnn_ablation.evidence.wording import duration, quantity
from cnn_ablation.execution.store import StoredTrial
from cnn_ablation.provenance import cpu_name
from cnn_ablation.report.chapters import (
    best_condition,
    histories_of,
    is_complete,
    run_chapters,
    trial_metrics_of,
)
from cnn_ablation.report.figures.style import MAX_CLASSES
from cnn_ablation.study.claims import PLACES
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.groups import MAIN_STUDY
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.quantities import PRIMARY_METRIC
from cnn_ablation.study.trials import Trial, conditions_by_name

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


FIGURES = ("comparison", "claims", "learning_curves", "confusion_matrix")
"""Names of a chapter's figures, in their order."""


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
        tables: Tables by name: condition_summary, trial_metrics, pairs, noise_budget, reproduction
            and confusion.
        final_model: Report on the final model.
        data_summary: See `splits.summarize_splits`.
    """
    metrics = tables["trial_metrics"]
    finished = metrics[metrics["status"] == "finished"]
    conditions = conditions_by_name(trials)
    rows = []
    for summary in tables["condition_summary"].to_dict("records"):
        results = finished[finished["condition"] == summary["condition"]]
        low, high = Effect.of(results[PRIMARY_METRIC]).interval()
        rows.append(
            {
                "name": summary["condition"],
                "settings": _settings(conditions[summary["condition"]]),
                "evaluated_once": conditions[summary["condition"]].moments(2) == 1,
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
        "confusion": _confusion(tables["confusion"]),
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


def write_markdown(chapters: Mapping[str, Mapping[str, Any] | None], notice: str = "") -> str:
    """The journal as Markdown.

    Args:
        chapters: Per experiment, in the order of the journal; None if the experiment was not run. See
            `add_verdicts`; `figures` has the path and the content of each figure, by name.
        notice: A sentence at the top, in bold.

    Raises:
        StudyError: No experiment was run.
    """
    written = run_chapters(chapters)
    if not written:
        raise StudyError(
            "The journal has no content, because no experiment was run yet. "
            f"Run one first, for example: kedro run --pipeline={next(iter(chapters))}"
        )
    study = study_of(written)
    environment = Environment(
        loader=PackageLoader("cnn_ablation.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "quantity": quantity,
        "duration": duration,
        "fixed": _fixed,
        "cell": _cell,
        "best": best_condition,
    }
    return environment.get_template("journal.md.j2").render(
        chapters=written,
        missing=[name for name in chapters if name not in written],
        study=study,
        places=PLACES,
        figures={name: _links(chapter["figures"], study) for name, chapter in written.items()},
        signs=SIGNS,
        notice=notice,
        version=__version__,
        digits=lambda metric: 0 if metric == "total_params" else 3 if "loss" in metric else 2,
        **_findings(written),
    )


def figure_link(path: str, study: str | None) -> str:
    """Path of a figure's file relative to the folder of the journal.

    Args:
        path: Its path. The folder of reports has a folder per experiment.
        study: See `study_of`. The journal is in the folder of reports, or in the folder of the study.
    """
    return ("" if study is None else "../") + "/".join(PurePosixPath(path).parts[-2:])


def _links(figures: Mapping[str, tuple[str, bytes]], study: str | None) -> dict[str, str]:
    """The address of each figure, in the order of `FIGURES`."""
    return {kind: figure_link(figures[kind][0], study) for kind in FIGURES if kind in figures}


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
    best = best_condition(conditions)
    return {
        "verdicts": verdicts,
        "ranked": sorted(verdicts, key=_rank),
        "trained": _trained(chapters),
        "origin": _origin(chapters),
        "counts": {verdict: counts[verdict] for verdict in SIGNS},
        "best": best,
        "some_incomplete": 0 < sum(map(is_complete, conditions)) < len(conditions),
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
        "incomparable": sum(
            row["agrees"] is None for chapter in chapters.values() for row in chapter["reproduction"]
        ),
    }


def _rank(verdict: Mapping[str, Any]) -> tuple[int, float]:
    """Settled claims first, then undecided ones, the cheapest first."""
    minutes = verdict["worker_minutes"]
    return list(SIGNS).index(verdict["verdict"]), math.inf if minutes is None else minutes


def _trained(chapters: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Number and training time, s, of the trials. Those that experiments share count once."""
    tables = []
    for chapter in chapters.values():
        metrics = trial_metrics_of(chapter)[["condition", "seed", "key"]]
        seconds = histories_of(chapter).groupby(["condition", "seed"], as_index=False)["seconds"].sum()
        tables.append(metrics.merge(seconds, "left", on=["condition", "seed"]))
    trials = pd.concat(tables).drop_duplicates("key")
    return {"trials": len(trials), "seconds": float(trials["seconds"].sum())}


def _origin(chapters: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The environments of all chapters together: per fact, all distinct values."""
    facts: dict[str, set[str]] = {}
    for chapter in chapters.values():
        for name, values in chapter["environment"].items():
            facts.setdefault(name, set()).update(values)
    return {name: sorted(values) for name, values in facts.items()}


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


def _confusion(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Percentage of each true class's images per predicted class, summed over seeds.

    Returns:
        A row per condition, true class and predicted class, for the least recognized classes of each
        condition, as many as a figure can show.
    """
    names = [name for name in table.columns if name not in COLUMNS]
    rows = []
    for condition, of_condition in table.groupby("condition", sort=False):
        counts = of_condition.groupby("true_class", sort=False)[names].sum()
        percent = 100 * counts.div(counts.sum(axis="columns"), axis="index")
        worst = np.sort(np.argsort(np.diagonal(percent))[:MAX_CLASSES])
        shown = [names[index] for index in worst]
        rows += [
            {"condition": condition, "true": true, "predicted": predicted, "percent": round(value, 2)}
            for true in shown
            for predicted, value in percent.loc[true, shown].items()
        ]
    return rows


def _environment(stored: Sequence[StoredTrial]) -> dict[str, list[str]]:
    """The environments in which the trials were trained and evaluated: per fact, all distinct values."""
    facts = {
        "device": [trial.identity["device"] for trial in stored],
        "processor": [trial.manifest.get("processor") or "unknown" for trial in stored],
        "precision": [trial.identity["precision"] for trial in stored],
        "libraries": [_versions(trial.identity["libraries"]) for trial in stored],
        "code": [_versions(trial.identity["versions"]) for trial in stored],
        "commit": [trial.manifest.get("commit") or "unknown" for trial in stored],
        "trained": [trial.manifest["trained_at"][:10] for trial in stored],
        "evaluated on": [_machine()],
    }
    return {name: sorted(set(values)) for name, values in facts.items()}


def _machine() -> str:
    """This machine's processor, and the versions of Python and of this package."""
    versions = f"Python {platform.python_version()}, cnn-ablation {__version__}"
    return f"{cpu_name()}, {os.cpu_count()} cores, {versions}"


def _versions(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _fixed(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def _cell(text: str) -> str:
    """Text of a cell in a table of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")


def _plain(value: Any) -> Any:
    """The value in built-in types, with None for missing values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
