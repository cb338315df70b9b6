"""Raw files to splits, their summary and a picture of them."""

from cnn_ablation.pipelines.data_ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
