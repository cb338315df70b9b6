"""Memory of a worker after training the base network, and after every network of the study.

    .venv/bin/python benchmarks/memory.py            # the base network
    .venv/bin/python benchmarks/memory.py --study    # followed by every other network of the study

One worker trains an epoch of each network on all of Fashion-MNIST. The peak is the worker's largest
resident memory since its start. It includes mapped files, mostly PyTorch's libraries, although the
workers of a machine share them. With an empty folder as NUMBA_CACHE_DIR, the worker compiles its loops
first. Linux only.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from cnn_ablation.execution.engine import Engine
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.execution.worker import train_on_worker
from cnn_ablation.study.parameters import ExecutionParameters
from cnn_ablation.study.trials import Condition, Trial
from cnn_ablation.training.results import TrainedTrial

MEASURED = {"VmHWM": "peak", "RssAnon": "private", "RssFile": "mapped files"}


def train_and_measure(*task: Any) -> TrainedTrial:
    """Train a trial, and add the worker's memory in MiB to the row of the last epoch."""
    trained = train_on_worker(*task)
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    for field, name in MEASURED.items():
        trained.measurements.history[-1][name] = int(status[field].split()[0]) / 1024
    return trained


def main() -> None:
    """Measure memory and print the table."""
    # Imported here, because workers import this file too and would hold torchvision in memory.
    from throughput import BASELINE, EVALUATION, FASTEST, load_data, study_trials

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", action="store_true", help="measure every network of the study")
    options = parser.parse_args()

    training = BASELINE.training.model_copy(update={"epochs": 1})
    models = {"base network": BASELINE.model}
    if options.study:
        models |= {trial.condition.name: trial.condition.model for trial in study_trials()}
    execution = ExecutionParameters.model_validate(
        {
            "device": "cpu",
            "precision": FASTEST,
            "layers": "fast",
            "workers": 1,
            "scheduler": None,
            "tls": None,
        }
    )
    data = load_data()
    engine = Engine(StudyProgress(), train_and_measure)
    rows = []
    with TemporaryDirectory() as folder:
        for name, model in models.items():
            condition = Condition(name=name, levels={}, model=model, training=training)
            trials = [Trial(condition=condition, seed=0)]
            store = TrialStore(Path(folder))
            (outcome,) = engine.train(trials, data, store, execution, EVALUATION)
            if outcome.stored is not None and not outcome.reused:
                row = outcome.stored.history[-1]
                rows.append((name, *(f"{row[value]:,.0f}" for value in MEASURED.values())))
    engine.close()
    print(f"| trained so far, {FASTEST} | {', MiB | '.join(MEASURED.values())}, MiB |")
    print("| --- | --- | --- | --- |")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
