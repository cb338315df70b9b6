"""Trials to trained networks, each tracked as it finishes."""

from cnn_ablation.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
