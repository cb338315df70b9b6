"""kedro-mlflow's hooks, with a description of each run that MLflow's page can show, sort and filter."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
from kedro_mlflow.io.catalog.switch_catalog_logging import switch_catalog_logging

from cnn_ablation.adapters.run_description import command_of, commit_of, parameters_of, runner_of
from cnn_ablation.adapters.tracking_store import is_tracking_error
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.workarounds import stop_kedro_mlflow

logger = logging.getLogger(__name__)


class TrackingHooks(MlflowHook):  # type: ignore[misc]
    """Track a run with its command, commit, parameters and headline results.

    kedro-mlflow would track each parameter of a node as one text, for each node again, and a command
    without `--params` and `--env`. If MLflow fails, the run goes on untracked.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Connect to MLflow."""
        self._context = context
        super().after_context_created(context)

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Start the run in MLflow, and describe how it was started."""
        tracking.begin()
        with self._or_untracked(catalog):
            self._start(run_params, pipeline, catalog)

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: DataCatalog, inputs: dict[str, Any], is_async: bool
    ) -> None:
        """Make the run active in the node's thread."""
        with self._or_untracked(catalog):
            # kedro-mlflow tracks the parameters among the inputs. They are tracked above.
            super().before_node_run(node, catalog, {}, is_async)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Mark the run as failed, or leave it to the next run to mark it."""
        with self._or_untracked(catalog):
            super().on_pipeline_error(error, run_params, pipeline, catalog)

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Track the headline results, and end the run in MLflow."""
        with self._or_untracked(catalog):
            self._end(run_params, pipeline, catalog)

    @contextmanager
    def _or_untracked(self, catalog: DataCatalog) -> Iterator[None]:
        """Go on without tracking if MLflow fails within the context, or has failed before."""
        if tracking.fault:
            self._stop(catalog)
        try:
            yield
        except Exception as error:
            if not is_tracking_error(error):
                raise
            tracking.give_up(error)
            self._stop(catalog)

    def _stop(self, catalog: DataCatalog) -> None:
        stop_kedro_mlflow(self)
        switch_catalog_logging(catalog, False)

    def _start(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        import mlflow
        from mlflow.exceptions import MlflowException

        self._started = time.monotonic()
        # kedro-mlflow sets all of these as tags. The command has the parameters, without passwords.
        shown = {**run_params, "runtime_params": None, "runner": runner_of(run_params)}
        super().before_pipeline_run(shown, pipeline, catalog)
        run = mlflow.active_run()
        if run is None:  # Conf disables tracking for this pipeline.
            return
        try:
            mlflow.set_tags(
                {"kedro_command": command_of(run_params), **commit_of(self._context.project_path)}
            )
            mlflow.log_params(parameters_of(pipeline, self._context.params))
            self._update_experiment(run.info.experiment_id)
        except MlflowException as error:
            logger.warning("The run is not fully described in MLflow: %s", error.message)

    def _end(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        import mlflow
        from mlflow.exceptions import MlflowException

        if mlflow.active_run() is not None:
            try:
                mlflow.log_metrics({**_headline(pipeline, catalog), "wall_seconds": self._seconds()})
            except MlflowException as error:
                logger.warning("The results of the run are not summarized in MLflow: %s", error.message)
        super().after_pipeline_run(run_params, pipeline, catalog)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 1)

    def _update_experiment(self, experiment_id: str) -> None:
        """Set the tags of conf, which kedro-mlflow sets only when it creates the experiment."""
        import mlflow

        wanted = self.mlflow_config.tracking.experiment.create_experiment_kwargs.tags or {}
        present = mlflow.get_experiment(experiment_id).tags
        for key, value in wanted.items():
            if present.get(key) != value:
                mlflow.MlflowClient().set_experiment_tag(experiment_id, key, value)


def _headline(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, float]:
    from cnn_ablation.report.run_metrics import summarize_run

    outputs = sorted(pipeline.all_outputs())

    def tables(kind: str) -> list[pd.DataFrame]:
        return [catalog.load(name) for name in outputs if name.endswith(f".{kind}")]

    return summarize_run(tables("condition_summary"), tables("verdicts"), tables("runs"))
