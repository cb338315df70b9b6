"""The module in which Kedro looks for the project's commands."""

from cnn_ablation.adapters.click_errors import show_messages_of_kedro
from cnn_ablation.adapters.commands import cli
from cnn_ablation.adapters.run_command import run

__all__ = ["cli", "run"]

show_messages_of_kedro()
