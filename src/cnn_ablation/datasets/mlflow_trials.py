"""Trials as nested MLflow runs."""

import math
from io import BytesIO
from typing import Any

import pandas as pd

from cnn_ablation.datasets.base import FileDataset
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.execution.outcomes import TrialRun
from cnn_ablation.workarounds import TrackingSwitch

CURVES = "curves"
"""Prefix of the metrics that a trial has for each epoch, such as `curves/val_accuracy`."""


class MlflowTrialRunsDataset(TrackingSwitch, FileDataset[TrialRun, pd.DataFrame]):
    """One MLflow run per trial, nested in the run of `kedro run`, and a table of all trials as CSV.

    A node saves each trial as soon as it ends, so that a later failure does not lose it. The first save
    of a session replaces the table.

    Values of an epoch are metrics with the prefix `curves/` and the epoch as step. Those of a
    whole trial have neither. Metrics have six significant digits; the stored trial has all.

    Args:
        filepath: The table. Its columns are position (among the experiment's trials), condition, seed,
            key (in the trial store), status, reused, error and mlflow_run_id.
        experiment: Name of the experiment, set as a tag.
        variant: Name of the variant of the study, set as a tag; None: settings are those of conf.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        filepath: str,
        experiment: str,
        variant: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath, metadata)
        self._experiment = experiment
        self._variant = variant
        self._rows: list[dict[str, Any]] = []

    def save(self, data: TrialRun) -> None:
        """Track one trial."""
        self._rows.append(
            {
                "position": data.position,
                "condition": data.trial.condition.name,
                "seed": data.trial.seed,
                "key": data.key,
                "status": data.status,
                "reused": data.reused,
                "error": data.error,
                "mlflow_run_id": self._track_if_possible(data),
            }
        )
        table = pd.DataFrame(self._rows).sort_values("position")
        self._write(table.to_csv(index=False, lineterminator="\n").encode())

    def load(self) -> pd.DataFrame:
        """Return the table, in the order of the experiment's trials."""
        texts = ("condition", "key", "status", "error", "mlflow_run_id")
        return pd.read_csv(BytesIO(self._read()), dtype=dict.fromkeys(texts, str), keep_default_na=False)

    def _track_if_possible(self, run: TrialRun) -> str:
        return tracking.attempt(lambda: self._track(run), "") if self.tracking_enabled else ""

    def _track(self, run: TrialRun) -> str:
        import mlflow
        from mlflow.entities import Metric, Param
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
        from mlflow.utils.time import get_current_time_millis

        parent = mlflow.active_run()
        if parent is None:
            raise RuntimeError("Trials belong to the MLflow run of `kedro run`, but no run is active.")
        client = mlflow.MlflowClient()
        now = get_current_time_millis()
        tags = {
            "experiment": self._experiment,
            "condition": run.trial.condition.name,
            "seed": str(run.trial.seed),
            "trial_key": run.key,
            "status": run.status,
            "reused": str(run.reused).lower(),
            **({"error": run.error} if run.error else {}),
            **({"variant": self._variant} if self._variant else {}),
        }
        seconds = 0 if run.reused else sum(row["seconds"] for row in run.history)
        child: str = client.create_run(
            parent.info.experiment_id,
            start_time=now - int(1000 * seconds),
            run_name=run.trial.name,
            tags={MLFLOW_PARENT_RUN_ID: parent.info.run_id, **tags},
        ).info.run_id
        # MLflow draws a line for a metric with steps, and a bar for one whose step is 0. It shows the
        # metrics with a prefix before those without.
        curves = [
            Metric(f"{CURVES}/{name}", _rounded(value), now, int(row["epoch"]))
            for row in run.history
            for name, value in row.items()
            if name != "epoch"
        ]
        finals = [Metric(name, _rounded(value), now, 0) for name, value in run.metrics.items()]
        metrics = [metric for metric in curves + finals if math.isfinite(metric.value)]
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        client.log_batch(child, metrics=metrics, params=params)
        client.set_terminated(child, "FAILED" if run.status == "failed" else "FINISHED")
        return child

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "experiment": self._experiment}


def _rounded(value: float) -> float:
    """The value with six significant digits, so that pages show no rounding errors; counts are kept."""
    return value if not math.isfinite(value) or value == int(value) else float(f"{value:.6g}")
