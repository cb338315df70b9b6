"""Judge the claims of one or several experiments together, and write their chapters."""

from cnn_ablation.pipelines.conclusions.pipeline import create_pipeline

__all__ = ["create_pipeline"]
