"""What a worker does: it holds the data, and trains trials on it."""

import gc
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from dask.distributed import WorkerPlugin, get_worker

from cnn_ablation.data.splits import Arrays
from cnn_ablation.execution.identity import code_versions, library_versions
from cnn_ablation.schema import ImageShape
from cnn_ablation.study.trials import Trial
from cnn_ablation.training.data import TRAINING_ARRAYS, TrainingData
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import TrainedTrial

EPOCHS_TOPIC = "cnn-ablation-epochs"
"""Dask's topic of the rows that a training's history gains."""


def dask_setup(worker: Any) -> None:
    """Close the worker's web pages, and ignore Ctrl-C where a worker does not start with it blocked.

    A terminal sends Ctrl-C to workers too; the run that has started them ends them. Dask calls this in
    each worker of a local cluster.

    Args:
        worker: Dask's worker in this process.
    """
    worker.http_server.stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class TrialData:
    """What trials train on: the arrays of `splits.split_images` and their summary."""

    arrays: Arrays
    summary: Mapping[str, Any]

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of an image, pixels."""
        channels, height, width = self.summary["image_shape"]
        return channels, height, width

    @property
    def fingerprint(self) -> str:
        """Hash of all that a training sees."""
        return str(self.summary["fingerprint"])


class DataOnWorker(WorkerPlugin):
    """Takes the data to each worker once; also to one that joins, or comes back, later."""

    def __init__(self, data: TrialData, device: str) -> None:
        self.name = f"cnn-ablation-{device}-{data.fingerprint}"
        self._arrays = {name: data.arrays[name] for name in TRAINING_ARRAYS}
        self._summary = data.summary
        self._device = device

    def setup(self, worker: Any) -> None:
        """Move the data to the worker's device: of several GPUs, the one of the worker's number."""
        device = torch.device(self._device)
        if device.type == "cuda":
            number = int(worker.name) if str(worker.name).isdigit() else 0
            device = torch.device("cuda", number % torch.cuda.device_count())
        self.images = TrainingData.from_arrays(
            self._arrays, self._summary["mean"], self._summary["std"], device
        )
        self.num_classes = len(self._summary["class_names"])
        # What is here by now stays: the collector need not look at it again in each of many steps.
        gc.freeze()


def train_on_worker(key: str, trial: Trial, identity: Mapping[str, Any], data: str) -> TrainedTrial:
    """Train a trial on the worker that runs this.

    Args:
        key: Of the trial in the store.
        trial: What to train.
        identity: The trial's, see `identity.identify`: precision, layers and versions are taken from it.
        data: Name of the plugin that holds the data.

    Raises:
        RuntimeError: The worker has other versions of the code or of a library.
    """
    layers = identity["layers"]
    own = {**code_versions(trial.condition, layers), **library_versions()}
    wanted = {**identity["versions"], **identity["libraries"]}
    if own != wanted:
        names = [name for name in {**own, **wanted} if own.get(name) != wanted.get(name)]
        raise RuntimeError(
            "this worker differs from the machine that runs Kedro in its versions of "
            + ", ".join(f"{name} ({own.get(name)}, not {wanted.get(name)})" for name in names)
            + ": install the same ones"
        )
    # In the thread that trains: OpenMP keeps the number of threads per thread.
    torch.set_num_threads(1)
    worker = get_worker()
    plugin = cast(DataOnWorker, worker.plugins[data])
    return train(
        trial.condition,
        trial.seed,
        plugin.images,
        plugin.num_classes,
        precision=identity["precision"],
        layers=layers,
        on_epoch=lambda row: worker.log_event(EPOCHS_TOPIC, {"key": key, "row": row}),
    )
