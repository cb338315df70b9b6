"""Kedro's project settings."""

import gc
import os

# Set before MLflow is imported. A study makes no network calls, except to download its data.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
# Otherwise, MLflow retries for minutes. A study whose server cannot be reached goes on untracked.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
# Set before Dask is imported, here and in workers. The engine itself reports what happens to trials.
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")

import yaml
from kedro.framework.project import configure_logging

from cnn_ablation.adapters.abandoned_runs import AbandonedRunHooks
from cnn_ablation.adapters.conf_files import LOADER_ARGUMENTS
from cnn_ablation.adapters.config_loader import PROJECT_ROOT, ProjectConfigLoader
from cnn_ablation.adapters.context import ProjectContext
from cnn_ablation.adapters.hooks import StudyHooks
from cnn_ablation.adapters.library_settings import explain_import
from cnn_ablation.adapters.session import ProjectSession
from cnn_ablation.adapters.terminal import ignore_useless_width, never_fail_to_print
from cnn_ablation.adapters.untracked_runs import UntrackedHooks
from cnn_ablation.adapters.variants import VariantHooks
from cnn_ablation.errors import one_line

try:
    # kedro-mlflow imports MLflow, before any command runs that could report its error.
    from cnn_ablation.adapters.tracking import TrackingHooks
except Exception as error:
    if (explained := explain_import(error)) is None:
        raise
    raise SystemExit(f"Error: {explained}") from None

# Libraries create a million objects that stay. With Python's default thresholds, the garbage collector
# scans them again and again, which takes a seventh of the time of a run that trains nothing.
gc.set_threshold(50_000, 20, 100)

never_fail_to_print()
ignore_useless_width()

_logging = PROJECT_ROOT / "conf" / "logging.yml"
if _logging.is_file() and "KEDRO_LOGGING_CONFIG" not in os.environ:
    # Kedro looks for this file only in the working directory.
    try:
        configure_logging(yaml.safe_load(_logging.read_text(encoding="utf-8")))
    # A wrong value gives any type of error.
    except Exception as error:
        reason = one_line(error)
        raise SystemExit(f"Error: conf/logging.yml: no configuration of logging: {reason}") from None

HOOKS = (StudyHooks(), AbandonedRunHooks(), TrackingHooks(), UntrackedHooks(), VariantHooks())
# TrackingHooks extend these hooks. The name is that in the metadata of kedro-mlflow.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)
CONTEXT_CLASS = ProjectContext
SESSION_CLASS = ProjectSession
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = LOADER_ARGUMENTS
