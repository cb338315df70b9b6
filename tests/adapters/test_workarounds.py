"""Private names that the edge relies on, and names that Kedro-Viz goes by."""

import inspect
import subprocess
import sys
from typing import Any

import pytest
from kedro.io import AbstractDataset, DataCatalog
from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook

from cnn_ablation.datasets import (
    FigureDataset,
    MlflowChapterDataset,
    MlflowModelDataset,
    MlflowRegisteredModelDataset,
    MlflowTrialRunsDataset,
    TrialsDataset,
)
from tests.conftest import ROOT, clean_environment


def test_kedro_mlflow_switches_tracking_off_in_every_dataset_that_tracks() -> None:
    datasets: dict[str, Any] = {
        "chapter": MlflowChapterDataset(filepath="chapter.json"),
        "model": MlflowModelDataset("network"),
        "registered": MlflowRegisteredModelDataset("network"),
        "runs": MlflowTrialRunsDataset("runs.csv", "dropout"),
    }
    hook = MlflowHook()
    hook.mlflow_config = KedroMlflowConfig.model_validate(
        {"tracking": {"disable_tracking": {"pipelines": ["untracked"]}}}
    )
    assert all(dataset.tracking_enabled for dataset in datasets.values())
    hook.before_pipeline_run({"pipeline_names": ["untracked"]}, None, DataCatalog(datasets))
    tracking = [name for name, dataset in datasets.items() if dataset.tracking_enabled]
    assert not tracking, (
        f"kedro-mlflow leaves tracking on in {tracking}: this release no longer sets "
        "_logging_activated on datasets whose class has a name that begins with Mlflow. Read "
        "kedro_mlflow/io/catalog/switch_catalog_logging.py and mend TrackingSwitch"
    )


QUEUE = """
import multiprocessing, os, sys
from cnn_ablation.adapters.workarounds import release_semaphores

queue = multiprocessing.get_context("spawn").Queue()
if sys.argv[1] == "released":
    release_semaphores()
os._exit(0)
"""


@pytest.mark.parametrize(("semaphores", "complains"), [("kept", True), ("released", False)])
def test_pythons_resource_tracker_complains_of_semaphores(semaphores: str, complains: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", QUEUE, semaphores],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("resource_tracker" in ended.stderr) == complains, (
        "this Python does not complain of semaphores that os._exit leaves: drop release_semaphores"
        if complains
        else "multiprocessing.util._run_finalizers(0) no longer releases semaphores: mend "
        f"release_semaphores\n{ended.stderr}"
    )


@pytest.mark.parametrize(
    ("own", "theirs"), [(TrialsDataset, JSONDataset), (FigureDataset, MatplotlibDataset)]
)
def test_previews_have_the_names_that_kedro_viz_goes_by(
    own: type[AbstractDataset[Any, Any]], theirs: type[AbstractDataset[Any, Any]]
) -> None:
    assert preview_type(own) == preview_type(theirs), (
        f"kedro-datasets calls the preview of {theirs.__name__} {preview_type(theirs)} now: give "
        f"{own.__name__}.preview a type of that name"
    )


def preview_type(kind: type[Any]) -> str:
    """Name of the type that Kedro-Viz chooses a view by, read as Kedro-Viz reads it."""
    annotation = inspect.signature(kind.preview).return_annotation
    return getattr(annotation, "__name__", str(annotation))
