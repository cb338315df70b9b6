"""Draw the figures of an experiment."""

from cnn_ablation.pipelines.visualization.pipeline import create_pipeline

__all__ = ["create_pipeline"]
