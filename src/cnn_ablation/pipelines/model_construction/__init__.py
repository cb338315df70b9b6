"""An experiment's parameters to its trials and networks."""

from cnn_ablation.pipelines.model_construction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
