"""Expand an experiment to trials and describe their networks."""

from cnn_ablation.pipelines.model_construction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
