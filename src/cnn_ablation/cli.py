"""The module in which Kedro looks for the project's commands."""

from cnn_ablation.adapters.commands import cli
from cnn_ablation.adapters.run_command import run
from cnn_ablation.workarounds import show_messages_of_kedro

__all__ = ["cli", "run"]

show_messages_of_kedro()
