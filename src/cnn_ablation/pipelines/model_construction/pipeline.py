"""Pipeline of model construction."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.model_construction import nodes


def create_pipeline() -> Pipeline:
    """An experiment's parameters to its trials and networks."""
    return Pipeline(
        [
            Node(
                nodes.expand_trials,
                inputs=["params:experiment", "params:baseline", "params:seeds"],
                outputs="trials",
                name="expand_trials",
            ),
            Node(
                nodes.describe_networks,
                inputs=["trials", "data_summary"],
                outputs="networks",
                name="describe_networks",
            ),
        ],
        tags="model_construction",
    )
