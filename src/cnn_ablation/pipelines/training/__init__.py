"""Train the trials of an experiment, and track each trial as soon as it ends."""

from cnn_ablation.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
