"""The code that runs in a worker, which holds the data and trains trials on it."""

import gc
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from dask.distributed import WorkerPlugin, get_worker

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data.splits import Arrays
from cnn_ablation.execution.identity import code_versions, library_versions
from cnn_ablation.study.trials import Trial
from cnn_ablation.training.devices import compiles
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import TrainedTrial
from cnn_ablation.training.training_data import TRAINING_ARRAYS, TrainingData

EPOCHS_TOPIC = "cnn-ablation-epochs"
"""Dask topic on which workers publish each new row of a training's history."""


def dask_setup(worker: Any) -> None:
    """Close the worker's web pages, and ignore Ctrl-C unless it is blocked already.

    A terminal also sends Ctrl-C to workers. The run that started them ends them. Dask calls this
    function in each worker of a local cluster.

    Args:
        worker: Dask's worker in this process.
    """
    worker.http_server.stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class TrialData:
    """The data that trials train on: the arrays of `splits.split_images`, and their summary."""

    arrays: Arrays
    summary: Mapping[str, Any]

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of an image, pixels."""
        channels, height, width = self.summary["image_shape"]
        return channels, height, width

    @property
    def fingerprint(self) -> str:
        """Hash of the training and validation images and labels."""
        return str(self.summary["fingerprint"])


class DataOnWorker(WorkerPlugin):
    """Plugin that brings the data to each worker once, including workers that join or restart later."""

    def __init__(self, data: TrialData, device: str) -> None:
        self.name = f"cnn-ablation-{device}-{data.fingerprint}"
        self._arrays = {name: data.arrays[name] for name in TRAINING_ARRAYS}
        self._summary = data.summary
        self._device = device

    def setup(self, worker: Any) -> None:
        """Move the data to the worker's device. With several GPUs, the worker's number selects one."""
        device = torch.device(self._device)
        if device.type == "cuda":
            number = int(worker.name) if str(worker.name).isdigit() else 0
            device = torch.device("cuda", number % torch.cuda.device_count())
        self.images = TrainingData.from_arrays(
            self._arrays, self._summary["mean"], self._summary["std"], device
        )
        self.num_classes = len(self._summary["class_names"])
        # Exclude modules and data, which stay, from the garbage collector's scans.
        gc.freeze()


def train_on_worker(key: str, trial: Trial, identity: Mapping[str, Any], data: str) -> TrainedTrial:
    """Train a trial on the worker that calls this.

    Args:
        key: Key of the trial in the store.
        trial: The trial.
        identity: Identity of the trial, which gives moments, precision, layers and versions; see
            `identity.identify`.
        data: Name of the plugin that holds the data.

    Raises:
        RuntimeError: The worker has other versions of the code or of a library, or cannot compile the
            fast layers.
    """
    layers = identity["layers"]
    own = {**code_versions(trial.condition, layers), **library_versions()}
    wanted = {**identity["versions"], **identity["libraries"]}
    if own != wanted:
        names = [name for name in {**own, **wanted} if own.get(name) != wanted.get(name)]
        raise RuntimeError(
            "this worker differs from the machine that runs Kedro in its versions of "
            + ", ".join(f"{name} ({own.get(name)}, not {wanted.get(name)})" for name in names)
            + ": install the same versions"
        )
    if layers == "fast" and not compiles():
        raise RuntimeError(
            "the variable NUMBA_DISABLE_JIT of this worker switches off the fast layers' compiler: "
            "start the worker without it"
        )
    # Set in the training thread, because OpenMP keeps this number per thread.
    torch.set_num_threads(1)
    worker = get_worker()
    plugin = cast(DataOnWorker, worker.plugins[data])
    return train(
        trial.condition,
        trial.seed,
        plugin.images,
        plugin.num_classes,
        moments=identity["moments"],
        precision=identity["precision"],
        layers=layers,
        on_epoch=lambda row: worker.log_event(EPOCHS_TOPIC, {"key": key, "row": row}),
    )
