"""Pipeline of training."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Train the trials of an experiment, and track each trial as soon as it ends."""
    return Pipeline(
        [
            Node(
                nodes.train_trials,
                inputs={
                    "experiment": "params:experiment",
                    "trials": "trials",
                    "splits": "splits",
                    "data_summary": "data_summary",
                    "store": "trial_store",
                    "engine": "engine",
                    "data": "params:data",
                    "execution": "params:execution",
                    "evaluation": "params:evaluation",
                },
                outputs="runs",
                name="train_trials",
            ),
        ],
        tags="training",
    )
