"""Pipelines of reporting."""

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.reporting import nodes

RESULTS = (
    *("trials", "runs", "data_summary", "final_model_report", "final_model", "image_noise", "confusion"),
    *("comparison_figure", "learning_curves_figure", "confusion_matrix_figure"),
    *("networks", "trial_metrics", "histories", "class_accuracy", "condition_summary"),
    *("pairs", "noise_budget", "reproduction"),
)
"""Datasets that an experiment's results consist of."""


def create_results_pipeline() -> Pipeline:
    """Collect all results of an experiment in one dataset, the only one that leaves its namespace.

    Kedro-Viz draws every dataset that is used outside of a namespace, or by no node, outside of the
    namespace's box.
    """
    return Pipeline(
        [
            Node(
                nodes.collect_results,
                inputs={
                    "experiment": "params:experiment",
                    "evaluation": "params:evaluation",
                    "store": "trial_store",
                    **{name: name for name in RESULTS},
                },
                outputs="results",
                name="collect_results",
            ),
        ],
        tags="reporting",
    )


def create_summary_pipeline(chapters: Mapping[str, str]) -> Pipeline:
    """Collect the results of several experiments in one table.

    Args:
        chapters: Dataset of each experiment's chapter, by the experiment's name.
    """
    return Pipeline(
        [
            Node(
                nodes.join_experiments,
                inputs=dict(chapters),
                outputs="study_summary",
                name="join_experiments",
            ),
        ],
        tags="reporting",
    )


def create_journal_pipeline(chapters: Mapping[str, str]) -> Pipeline:
    """Write a journal from the chapters of several experiments.

    Args:
        chapters: Dataset of each experiment's chapter, by the experiment's name.
    """
    if not chapters:
        return Pipeline([])
    return Pipeline(
        [
            Node(
                nodes.write_journal,
                inputs={"notice": "journal_notice", "runs_address": "runs_address", **chapters},
                outputs=["journal_markdown", "journal_html"],
                name="write_journal",
            ),
        ],
        tags="reporting",
    )
