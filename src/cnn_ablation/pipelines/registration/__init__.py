"""Register the best network of a study in MLflow's model registry."""

from cnn_ablation.pipelines.registration.pipeline import create_pipeline

__all__ = ["create_pipeline"]
