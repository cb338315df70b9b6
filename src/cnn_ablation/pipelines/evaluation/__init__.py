"""Trained networks to scores, per trial and per condition."""

from cnn_ablation.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
