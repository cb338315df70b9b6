"""Nodes of reporting."""

from typing import Any

import pandas as pd

from cnn_ablation.execution.store import TrialStore
from cnn_ablation.report.chapters import Figure, require_all
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import EvaluationParameters
from cnn_ablation.study.trials import Trial, conditions_by_name


def collect_results(
    experiment: ExperimentParameters,
    evaluation: EvaluationParameters,
    trials: list[Trial],
    runs: pd.DataFrame,
    store: TrialStore,
    data_summary: dict[str, Any],
    image_noise: dict[str, Any],
    final_model_report: dict[str, Any],
    final_model: str | None,
    comparison_figure: Figure | None,
    learning_curves_figure: Figure | None,
    confusion_matrix_figure: Figure | None,
    **tables: pd.DataFrame,
) -> dict[str, Any]:
    """Collect all results of an experiment.

    Returns:
        The results as `journal.collect_results` gives them, with these keys in addition: experiment (its
        parameters), moments, image_noise, configurations (settings of each condition), mlflow_runs (ID
        of each trial's run, empty if it was not tracked), tables (a list per column), figures (path and
        content), model (URI in MLflow).
    """
    from cnn_ablation.report import journal

    stored = [store.get(key) for key in runs.loc[runs["status"] != "failed", "key"]]
    results = journal.collect_results(
        experiment,
        trials,
        [trial for trial in stored if trial is not None],
        tables,
        final_model_report,
        data_summary,
    )
    figures = {
        "comparison": comparison_figure,
        "learning_curves": learning_curves_figure,
        "confusion_matrix": confusion_matrix_figure,
    }
    conditions = conditions_by_name(trials)
    return {
        **results,
        "experiment": experiment.model_dump(),
        "moments": evaluation.moments,
        "image_noise": image_noise,
        "configurations": [condition.model_dump() for condition in conditions.values()],
        "mlflow_runs": runs["mlflow_run_id"].tolist(),
        "tables": {
            # JSON has no NaN.
            name: table.astype(object).where(table.notna(), None).to_dict("list")
            for name, table in tables.items()
            if name not in results
        },
        "figures": {name: figure for name, figure in figures.items() if figure is not None},
        "model": final_model,
    }


def join_experiments(**chapters: dict[str, Any] | None) -> pd.DataFrame:
    """Put the conditions of all experiments into one table, with the experiment as first column.

    Raises:
        StudyError: An experiment was not run.
    """
    tables = []
    for name, chapter in require_all(chapters).items():
        table = pd.DataFrame(chapter["tables"]["condition_summary"])
        table.insert(0, "experiment", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_journal(notice: str, runs_address: str, **chapters: dict[str, Any] | None) -> tuple[str, str]:
    """Write a journal as Markdown and as one page of HTML.

    The journal of a study other than the main one is in the folder with the study's name.

    Args:
        notice: A sentence at the top of the journal.
        runs_address: Address of MLflow's user interface, with which links to runs begin.
        chapters: Chapter of each experiment; None if it was not run.
    """
    from cnn_ablation.report import journal, page

    markdown = journal.write_markdown(chapters, notice)
    return markdown, page.write_page(markdown, chapters, runs_address)
