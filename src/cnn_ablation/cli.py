"""Where Kedro looks for the project's commands."""

from cnn_ablation.adapters.commands import cli, run

__all__ = ["cli", "run"]
