"""Runs that go on without tracking after MLflow has failed."""

import re
import tempfile
from collections.abc import Generator
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog

from cnn_ablation.adapters.tracking_store import DISK_IS_FULL, is_tracking_error
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.workarounds import stop_kedro_mlflow


class UntrackedHooks:
    """Go on without tracking if kedro-mlflow's hooks fail, and say so at the end.

    Args:
        hook: The `MlflowHook` of the project.
    """

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    @hook_impl(wrapper=True)
    def before_pipeline_run(self, catalog: DataCatalog) -> Generator[None, Any, Any]:
        """Track a new run, or go on untracked."""
        tracking.begin()
        return (yield from self._guarded(catalog))

    @hook_impl(wrapper=True)
    def before_node_run(self, catalog: DataCatalog) -> Generator[None, Any, Any]:
        """Log the parameters of a node, or go on untracked."""
        return (yield from self._guarded(catalog))

    @hook_impl(wrapper=True)
    def on_pipeline_error(self, catalog: DataCatalog) -> Generator[None, Any, Any]:
        """Mark the run as failed, or leave it to the next run to mark it."""
        return (yield from self._guarded(catalog))

    @hook_impl(wrapper=True)
    def after_pipeline_run(self, catalog: DataCatalog) -> Generator[None, Any, Any]:
        """Mark the run as finished, and say if it was not tracked to its end."""
        try:
            return (yield from self._guarded(catalog))
        finally:
            if tracking.fault:
                click.echo(
                    f"This run was not tracked to its end: {tracking.fault}. Its results are complete. "
                    f"To track them, run the same command once {_remedy(tracking.fault)}: it reuses all "
                    "stored trials."
                )

    def _stop(self, catalog: DataCatalog) -> None:
        from kedro_mlflow.io.catalog.switch_catalog_logging import switch_catalog_logging

        stop_kedro_mlflow(self._hook)
        switch_catalog_logging(catalog, False)

    def _guarded(self, catalog: DataCatalog) -> Generator[None, Any, Any]:
        if tracking.fault:
            self._stop(catalog)
        try:
            return (yield)
        except Exception as error:
            if not is_tracking_error(error):
                raise
            tracking.give_up(error)
            self._stop(catalog)
            return []


def _remedy(fault: str) -> str:
    """The condition under which the run can be tracked, for the end of a sentence."""
    # Libraries report a full disk by errors of many types, most of them without its folder.
    if re.search(DISK_IS_FULL, fault):
        folder = tempfile.gettempdir()
        return f"there is space in the folder of temporary files ({folder}, see TMPDIR) and in MLflow's"
    return "MLflow can be reached"
