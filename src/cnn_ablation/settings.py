"""Kedro's project settings."""

import gc
import json
import os
from pathlib import Path
from typing import Any

# Before MLflow is imported: a study makes no network call but the download of its data.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
# Before Dask is imported, here and in workers: the engine says what becomes of trials.
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")

import yaml
from kedro.framework.project import configure_logging
from omegaconf import DictConfig, OmegaConf

from cnn_ablation.adapters.abandoned_runs import AbandonedRunHooks
from cnn_ablation.adapters.context import ProjectContext
from cnn_ablation.adapters.hooks import StudyHooks
from cnn_ablation.adapters.session import ProjectSession

# Libraries make a million objects that stay: by default the collector looks at all of them again and
# again, a seventh of a run that has nothing to train.
gc.set_threshold(50_000, 20, 100)

_checkout = Path(__file__).resolve().parents[2]
# An installed package lies in no project: then the project is where it is run.
PROJECT_ROOT = _checkout if (_checkout / "pyproject.toml").is_file() else Path.cwd()

_logging = PROJECT_ROOT / "conf" / "logging.yml"
if _logging.is_file() and "KEDRO_LOGGING_CONFIG" not in os.environ:
    # Kedro looks for it in the working directory alone.
    configure_logging(yaml.safe_load(_logging.read_text()))


def mlflow_view(name: str, state: DictConfig) -> str:
    """A view of an experiment's runs, as MLflow's page keeps it in a tag of the experiment."""
    container = OmegaConf.to_container(state)
    return json.dumps({"name": name, "createdAt": 0, "state": json.dumps(container)})


HOOKS = (StudyHooks(), AbandonedRunHooks())
CONTEXT_CLASS = ProjectContext
SESSION_CLASS = ProjectSession
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment names what differs from base, inside groups too.
    "merge_strategy": {"parameters": "soft", "mlflow": "soft", "globals": "soft"},
    "custom_resolvers": {"project_root": PROJECT_ROOT.as_posix, "mlflow_view": mlflow_view},
}
