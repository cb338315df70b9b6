"""Pipeline of registration."""

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.registration import nodes


def create_pipeline(chapters: Mapping[str, str]) -> Pipeline:
    """Register the winner of several experiments as a version of the registered model.

    Args:
        chapters: Dataset of each experiment's chapter, by the experiment's name.
    """
    return Pipeline(
        [
            Node(
                nodes.choose_winner,
                inputs=dict(chapters),
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
