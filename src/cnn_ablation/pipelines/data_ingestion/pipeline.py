"""Pipeline of data ingestion."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.data_ingestion import nodes


def create_pipeline() -> Pipeline:
    """Split the images, summarize them and draw samples."""
    return Pipeline(
        [
            Node(
                nodes.split_images,
                inputs=["images", "params:data"],
                outputs=["splits", "data_summary"],
                name="split_images",
            ),
            Node(
                nodes.plot_samples,
                inputs=["splits", "data_summary"],
                outputs="samples_figure",
                name="plot_samples",
            ),
        ],
        tags="data_ingestion",
    )
