"""Pipeline of registration."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.registration import nodes


def create_pipeline(experiments: Sequence[str]) -> Pipeline:
    """The winner of these experiments to a version of the registered model."""
    trials = {f"{nodes.TRIALS}{name}": f"{name}.trials" for name in experiments}
    metrics = {f"{nodes.METRICS}{name}": f"{name}.trial_metrics" for name in experiments}
    return Pipeline(
        [
            Node(
                nodes.choose_winner,
                inputs={
                    "data_summary": "data_summary",
                    "data": "params:data",
                    **trials,
                    **metrics,
                },
                outputs="winner",
                name="choose_winner",
            ),
            Node(
                nodes.contest_champion,
                inputs=["winner", "champion", "params:evidence"],
                outputs="contest",
                name="contest_champion",
            ),
            Node(
                nodes.build_registered_model,
                inputs=["winner", "contest", "trial_store", "data_summary"],
                outputs="registered_model",
                name="build_registered_model",
            ),
        ],
        tags="registration",
    )
