"""Pipeline of training."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Train networks, and track each as soon as it is trained."""
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
