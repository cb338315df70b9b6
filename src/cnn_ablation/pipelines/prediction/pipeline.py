"""Pipeline of prediction."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.prediction import nodes


def create_pipeline() -> Pipeline:
    """Classify images and draw them with their classes."""
    return Pipeline(
        [
            Node(
                nodes.classify_images,
                inputs=["images_to_classify", "classifier", "params:prediction"],
                outputs=["predictions", "skipped_files"],
                name="classify_images",
            ),
            Node(
                nodes.plot_contact_sheet,
                inputs=["images_to_classify", "predictions", "classifier", "params:prediction"],
                outputs="contact_sheet",
                name="plot_contact_sheet",
            ),
        ],
        tags="prediction",
    )
