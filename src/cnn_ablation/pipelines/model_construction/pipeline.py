"""Pipeline of model construction."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.model_construction import nodes


def create_pipeline(*, pursued: bool = False) -> Pipeline:
    """An experiment's parameters to its trials and networks.

    Args:
        pursued: Whether the seeds are not those of the parameters, but as many as its claims need.
    """
    expansion = (
        Node(
            nodes.pursue_claims,
            inputs={
                "experiment": "params:experiment",
                "baseline": "params:baseline",
                "evidence": "params:evidence",
                "pursuit": "params:pursuit",
                "splits": "splits",
                "data_summary": "data_summary",
                "store": "trial_store",
                "engine": "engine",
                "execution": "params:execution",
            },
            outputs="trials",
            name="pursue_claims",
        )
        if pursued
        else Node(
            nodes.expand_trials,
            inputs=["params:experiment", "params:baseline", "params:seeds"],
            outputs="trials",
            name="expand_trials",
        )
    )
    return Pipeline(
        [
            expansion,
            Node(
                nodes.describe_networks,
                inputs=["trials", "data_summary"],
                outputs="networks",
                name="describe_networks",
            ),
        ],
        tags="model_construction",
    )
