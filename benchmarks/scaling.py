"""Scaling with the number of trials: planning, look-up, and the engine's overhead per trial.

    .venv/bin/python benchmarks/scaling.py

Planning expands an experiment to 10,000 trials and finds each of them in a store of the same size. The
engine's overhead is the time for 1,000 trials that do no work, storing included, divided by 1,000. Both
use the node that trains, as a run does, but without MLflow.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src")]

from cnn_ablation.execution.engine import Engine
from cnn_ablation.execution.outcomes import TrialRun
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.execution.worker import TrialData
from cnn_ablation.pipelines.training.nodes import train_trials
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters, expand_trials
from cnn_ablation.study.parameters import (
    DataParameters,
    EvaluationParameters,
    ExecutionParameters,
    SeedParameters,
)
from cnn_ablation.study.trials import Trial
from cnn_ablation.training.results import Measurements, TrainedTrial

CONF = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text())
BASELINE = Configuration.model_validate(CONF["baseline"])
EVALUATION = EvaluationParameters.model_validate(CONF["evaluation"])
DATA = DataParameters.model_validate(CONF["data"])
EXPERIMENT = ExperimentParameters.model_validate(
    {
        "title": "Scaling",
        "question": "What is the overhead of a trial?",
        "hypothesis": "Little.",
        "factors": {"model": {"dropout_rate": [step / 10 for step in range(10)]}},
        "condition_name": "dropout_{dropout_rate}",
    }
)
ROW = {
    "epoch": 1,
    "train_loss": 1.0,
    "train_accuracy": 50.0,
    "val_loss": 1.0,
    "val_accuracy": 50.0,
    "seconds": 0.0,
    "compute_seconds": 0.0,
}
NOTHING = TrainedTrial(
    Measurements(
        history=[ROW],
        moments=[{"val_loss": 1.0, "val_accuracy": 50.0}] * EVALUATION.moments,
        fit={"train_loss": 1.0, "train_accuracy": 50.0, "seconds_per_image": 0.0},
        total_params=1,
        activations=1,
    ),
    validation_hits=np.zeros((EVALUATION.moments, 10), dtype=bool),
    validation_logits=np.zeros((10, 10), dtype=np.float32),
    weights={"weight": np.zeros(10, dtype=np.float32)},
    processor="none",
)


def no_work(*_: object) -> TrainedTrial:
    """Return a result without training."""
    return NOTHING


def planned(trials: int) -> list[Trial]:
    """Trials of an experiment with this number of them."""
    return expand_trials(EXPERIMENT, BASELINE, SeedParameters.model_validate(trials // 10))


def execution(workers: int) -> ExecutionParameters:
    """Parameters of a local cluster with this number of workers."""
    return ExecutionParameters.model_validate(
        {
            "device": "cpu",
            "precision": "fp32",
            "layers": "fast",
            "workers": workers,
            "scheduler": None,
            "tls": None,
        }
    )


def main() -> None:
    """Measure times and print the table."""
    images = np.zeros((10, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(10)
    arrays = {
        f"{split}_{part}": values
        for split in ("train", "validation")
        for part, values in (("images", images), ("labels", labels))
    }
    summary = {
        "fingerprint": "0" * 64,
        "mean": [0.5],
        "std": [0.5],
        "class_names": [str(label) for label in labels],
        "image_shape": [1, 28, 28],
    }

    def train(trials: list[Trial], store: TrialStore, engine: Engine, workers: int) -> list[TrialRun]:
        settings = (DATA, execution(workers), EVALUATION)
        return list(train_trials(EXPERIMENT, trials, arrays, summary, store, engine, *settings))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = []
    with TemporaryDirectory() as folder:
        for workers in sorted({1, cores}):
            store = TrialStore(Path(folder) / f"engine-{workers}")
            engine = Engine(StudyProgress(), no_work)
            train(planned(10), store, engine, workers)  # starts the workers
            trials = planned(1010)[10:]
            start = time.perf_counter()
            runs = train(trials, store, engine, workers)
            seconds = time.perf_counter() - start
            engine.close()
            fresh = sum(not run.reused for run in runs)
            rows.append((f"engine, {workers} worker(s), per trial", f"{1000 * seconds / fresh:.1f} ms"))

        store = TrialStore(Path(folder) / "large")
        engine = Engine(StudyProgress(), no_work)
        trials = planned(10_000)
        for task in engine._resolve(trials, TrialData(arrays, summary), execution(1), EVALUATION):
            store.put(task.key, task.identity, NOTHING)
        start = time.perf_counter()
        trials = planned(10_000)
        expanded = time.perf_counter()
        runs = train(trials, store, engine, 1)
        looked_up = time.perf_counter()
        assert all(run.reused for run in runs)
        rows += [
            ("expanding 10,000 trials", f"{expanded - start:.2f} s"),
            ("finding 10,000 trials, checksums verified", f"{looked_up - expanded:.2f} s"),
        ]
    print("| | |\n| --- | --- |")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
