"""A folder of images to their classes."""

from cnn_ablation.pipelines.prediction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
