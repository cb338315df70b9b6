"""Split the images, summarize them and draw samples."""

from cnn_ablation.pipelines.data_ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
