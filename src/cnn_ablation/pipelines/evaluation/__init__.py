"""Score trials and conditions, and choose the final model."""

from cnn_ablation.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
