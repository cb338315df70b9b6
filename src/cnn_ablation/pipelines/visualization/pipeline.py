"""Pipeline of visualization."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.visualization import nodes


def create_pipeline() -> Pipeline:
    """Draw the figures of an experiment."""
    return Pipeline(
        [
            Node(
                nodes.plot_comparison,
                inputs=["params:experiment", "trials", "trial_metrics", "condition_summary"],
                outputs="comparison_figure",
                name="plot_comparison",
            ),
            Node(
                nodes.plot_learning_curves,
                inputs=["params:experiment", "histories"],
                outputs="learning_curves_figure",
                name="plot_learning_curves",
            ),
            Node(
                nodes.plot_confusion_matrix,
                inputs=["params:experiment", "confusion", "final_model_choice"],
                outputs="confusion_matrix_figure",
                name="plot_confusion_matrix",
            ),
        ],
        tags="visualization",
    )
