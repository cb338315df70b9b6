"""Nodes of reporting."""

from typing import Any

import pandas as pd

from cnn_ablation.execution.store import TrialStore
from cnn_ablation.study.experiments import ExperimentParameters
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.trials import Trial

CHAPTER = "chapter_of_"
FIGURE = "figure_of_"
"""Arguments of `write_journal`: what they begin with, before the experiment's name."""


def join_experiments(**condition_summaries: pd.DataFrame) -> pd.DataFrame:
    """The summaries of all experiments in one table, with the experiment as first column."""
    tables = [
        table.assign(experiment=name)[["experiment", *table.columns]]
        for name, table in condition_summaries.items()
    ]
    return pd.concat(tables, ignore_index=True)


def write_chapter(
    experiment: ExperimentParameters,
    evidence: EvidenceParameters,
    trials: list[Trial],
    runs: pd.DataFrame,
    store: TrialStore,
    final_model_report: dict[str, Any],
    data_summary: dict[str, Any],
    **tables: pd.DataFrame,
) -> dict[str, Any]:
    """All that the journal says of one experiment."""
    from cnn_ablation.report import journal

    stored = [store.get(key) for key in runs.loc[runs["status"] != "failed", "key"]]
    return journal.write_chapter(
        experiment,
        evidence,
        trials,
        [trial for trial in stored if trial is not None],
        tables,
        final_model_report,
        data_summary,
    )


def describe_experiment(chapter: dict[str, Any]) -> str:
    """The chapter in a few lines, for MLflow."""
    from cnn_ablation.report import journal

    return journal.describe(chapter)


def write_journal(**parts: Any) -> tuple[str, str]:
    """The journal as Markdown and as one page of HTML.

    Args:
        parts: Per experiment its chapter and its figures, None where it was not run.
    """
    from cnn_ablation.report import journal

    chapters = {
        name.removeprefix(CHAPTER): part for name, part in parts.items() if name.startswith(CHAPTER)
    }
    figures = {
        experiment: [
            journal.SavedFigure(*part)
            for name, part in parts.items()
            if name.startswith(f"{FIGURE}{experiment}.") and part is not None
        ]
        for experiment in chapters
    }
    markdown = journal.write_markdown(chapters, figures)
    return markdown, journal.write_html(markdown, figures)
