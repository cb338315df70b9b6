"""Pipeline of reporting."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.reporting import nodes


def create_pipeline(experiments: Sequence[str]) -> Pipeline:
    """The results of these experiments side by side."""
    return Pipeline(
        [
            Node(
                nodes.join_experiments,
                inputs={name: name for name in experiments},
                outputs="study_summary",
                name="join_experiments",
            ),
        ],
        inputs={name: f"{name}.condition_summary" for name in experiments},
        tags="reporting",
    )
