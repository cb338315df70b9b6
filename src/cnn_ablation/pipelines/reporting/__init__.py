"""The experiments' results side by side."""

from cnn_ablation.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
