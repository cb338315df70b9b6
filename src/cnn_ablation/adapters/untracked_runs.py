"""Runs that go on without tracking after MLflow has failed."""

import re
import tempfile
from collections.abc import Generator
from typing import Any

import click
from kedro.framework.hooks import hook_impl

from cnn_ablation.adapters.tracking_store import DISK_IS_FULL
from cnn_ablation.datasets.tracking import tracking


class UntrackedHooks:
    """Say at the end of a run that went on without tracking how to track it; see `TrackingHooks`."""

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Say if the run was not tracked to its end."""
        try:
            return (yield)
        finally:
            if tracking.fault:
                click.echo(
                    f"This run was not tracked to its end: {tracking.fault}. Its results are complete. "
                    f"To track them, run the same command once {_remedy(tracking.fault)}: it reuses all "
                    "stored trials."
                )


def _remedy(fault: str) -> str:
    """The condition under which the run can be tracked, for the end of a sentence."""
    # Libraries report a full disk by errors of many types, most of them without its folder.
    if re.search(DISK_IS_FULL, fault):
        folder = tempfile.gettempdir()
        return f"there is space in the folder of temporary files ({folder}, see TMPDIR) and in MLflow's"
    return "MLflow can be reached"
