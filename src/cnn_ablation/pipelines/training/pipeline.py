"""Pipeline of training."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Trials to trained networks, each tracked as it finishes."""
    return Pipeline(
        [
            Node(
                nodes.train_trials,
                inputs={
                    "trials": "trials",
                    "splits": "splits",
                    "data_summary": "data_summary",
                    "store": "trial_store",
                    "engine": "engine",
                    "data": "params:data",
                    "execution": "params:execution",
                },
                outputs="runs",
                name="train_trials",
            ),
        ],
        tags="training",
    )
