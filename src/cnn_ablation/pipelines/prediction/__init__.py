"""Classify a folder of images."""

from cnn_ablation.pipelines.prediction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
