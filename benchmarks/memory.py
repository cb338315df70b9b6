"""Memory of a worker: after the base network, and after every network of the study.

    .venv/bin/python benchmarks/memory.py            # the base network
    .venv/bin/python benchmarks/memory.py --study    # then every other network of the journal

One worker trains an epoch of each on all of Fashion-MNIST. Its peak is the most that it had in memory
since it started; mapped files, most of them PyTorch's libraries, are counted in it, though the workers
of a machine share them. With an empty folder as NUMBA_CACHE_DIR it compiles its loops first. Linux only.
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

MEASURED = {"VmHWM": "peak", "RssAnon": "its own", "RssFile": "mapped files"}


def train_and_measure(*task: Any) -> TrainedTrial:
    """Train a trial; its last epoch's row goes on with the worker's memory, MiB."""
    trained = train_on_worker(*task)
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    for field, name in MEASURED.items():
        trained.history[-1][name] = int(status[field].split()[0]) / 1024
    return trained


def main() -> None:
    """Measure and print the table."""
    # Not above: a worker imports this file too, and would have torchvision in its memory.
    from throughput import BASELINE, FASTEST, load_data, study_trials

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", action="store_true", help="every network of the journal")
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
            (outcome,) = engine.train(trials, data, TrialStore(Path(folder)), execution)
            if outcome.stored is not None and not outcome.reused:
                row = outcome.stored.history[-1]
                rows.append((name, *(f"{row[value]:,.0f}" for value in MEASURED.values())))
    engine.close()
    print(f"| trained, {FASTEST} | {', MiB | '.join(MEASURED.values())}, MiB |")
    print("| --- | --- | --- | --- |")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
