"""The best network of a study to MLflow's model registry."""

from cnn_ablation.pipelines.registration.pipeline import create_pipeline

__all__ = ["create_pipeline"]
