"""Pipeline of model construction."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.model_construction import nodes


def create_pipeline(*, pursued: bool = False) -> Pipeline:
    """Expand an experiment to trials and describe their networks.

    Args:
        pursued: Whether seeds are added until the claims are decided, instead of using `seeds`.
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
                "evaluation": "params:evaluation",
                "contrasts": "contrasts",
                "looks": "looks",
            },
            outputs="trials",
            name="pursue_claims",
        )
        if pursued
        else Node(
            nodes.expand_trials,
            inputs=[
                "params:experiment",
                "params:baseline",
                "params:seeds",
                "params:evaluation",
                "data_summary",
            ],
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
