"""Train networks, and track each as soon as it is trained."""

from cnn_ablation.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
