"""Pipelines of reporting."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.reporting import nodes
from cnn_ablation.study.discovery import Experiment

CHAPTER_TABLES = ("condition_summary", "trial_metrics", "verdicts", "pairs", "reproduction")


def create_chapter_pipeline() -> Pipeline:
    """An experiment's results to its chapter of the journal."""
    return Pipeline(
        [
            Node(
                nodes.write_chapter,
                inputs={
                    "experiment": "params:experiment",
                    "evidence": "params:evidence",
                    "store": "trial_store",
                    **{name: name for name in ("trials", "runs", "final_model_report", "data_summary")},
                    **{name: name for name in CHAPTER_TABLES},
                },
                outputs="chapter",
                name="write_chapter",
            ),
            Node(
                nodes.describe_experiment,
                inputs="chapter",
                outputs="description",
                name="describe_experiment",
            ),
        ],
        tags="reporting",
    )


def create_summary_pipeline(experiments: Sequence[str]) -> Pipeline:
    """The results of these experiments side by side."""
    return Pipeline(
        [
            Node(
                nodes.join_experiments,
                inputs={name: f"{name}.condition_summary" for name in experiments},
                outputs="study_summary",
                name="join_experiments",
            ),
        ],
        tags="reporting",
    )


def create_journal_pipeline(experiments: Sequence[Experiment]) -> Pipeline:
    """The chapters and figures of those of these experiments that have been run to the journal."""
    if not experiments:
        return Pipeline([])
    chapters = {f"{nodes.CHAPTER}{name}": f"{name}.chapter" for name, *_ in experiments}
    figures = {
        f"{nodes.FIGURE}{experiment.name}.{figure}": f"{experiment.name}.{figure}_figure"
        for experiment in experiments
        for figure in (experiment.figure, "claims")
    }
    return Pipeline(
        [
            Node(
                nodes.write_journal,
                inputs={**chapters, **figures},
                outputs=["journal_markdown", "journal_html"],
                name="write_journal",
            ),
        ],
        tags="reporting",
    )
