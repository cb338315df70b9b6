"""Noise of the mean accuracy over moments of the last epoch, and the time that moments take.

    .venv/bin/python benchmarks/moments.py --train 8   # trains 8 seeds each, writes moments.csv
    .venv/bin/python benchmarks/moments.py             # uses the accuracies in moments.csv
    .venv/bin/python benchmarks/moments.py --cost      # measures the time

Three conditions of `overall` are trained on all of Fashion-MNIST with 40 moments. The mean accuracy over
fewer moments is that over evenly spread ones of them, the last of which is the end of the epoch. The
table shows its standard deviation over seeds, and that of the differences of conditions in pairs of the
same seed.

`--cost` trains one epoch of the base network with and without the moments of conf/base alternately, in
one thread, and extrapolates to a trial of all epochs.
"""

import argparse
import statistics
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

TABLE = Path(__file__).with_suffix(".csv")
STORE = ROOT / "data/06_models/moments"
MOMENTS = 40
NUMBERS = (1, 3, 5, 10, 20, 40)
"""Numbers of moments to compare."""

CONDITIONS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "no_batchnorm": {"use_batch_norm": False},
    "one_layer": {"conv_channels": [32]},
}
ROUNDS = 3


def train(seeds: int) -> None:
    """Train the trials that the store lacks, and write the table of accuracies."""
    from throughput import BASELINE, PARAMETERS, load_data

    from cnn_ablation.execution.engine import Engine
    from cnn_ablation.execution.progress import StudyProgress
    from cnn_ablation.execution.store import TrialStore
    from cnn_ablation.study.parameters import EvaluationParameters, ExecutionParameters
    from cnn_ablation.study.trials import Condition, Trial

    trials = [
        Trial(
            condition=Condition(
                name=name,
                levels=changes,
                model=BASELINE.model.model_copy(update=changes),
                training=BASELINE.training,
            ),
            seed=seed,
        )
        for name, changes in CONDITIONS.items()
        for seed in range(seeds)
    ]
    execution = ExecutionParameters.model_validate(PARAMETERS["execution"])
    evaluation = EvaluationParameters(moments=MOMENTS)
    engine = Engine(StudyProgress())
    tables = {}
    for outcome in engine.train(trials, load_data(), TrialStore(STORE), execution, evaluation):
        if outcome.stored is None:
            raise RuntimeError(f"{outcome.trial.name} failed: {outcome.error}")
        accuracies = 100 * outcome.stored.validation_hits().mean(axis=1)
        tables[outcome.trial.name] = pd.DataFrame(
            {
                "condition": outcome.trial.condition.name,
                "seed": outcome.trial.seed,
                "moment": range(1, len(accuracies) + 1),
                "val_accuracy": accuracies.round(2),
            }
        )
    engine.close()
    pd.concat(tables[trial.name] for trial in trials).to_csv(TABLE, index=False)


def spread_evenly(number: int) -> np.ndarray:
    """Numbers of evenly spread moments, counted from 1. The last one is the end of the epoch."""
    return np.rint(np.arange(1, number + 1) * MOMENTS / number).astype(int)


def measure_noise(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Standard deviations by number of moments, in points.

    Args:
        accuracies: Columns condition, seed, moment (from 1) and val_accuracy, percent.

    Returns:
        A row per number of moments, with a column for each condition, one for each difference of two
        conditions in pairs of the same seed, and one for the root mean square of these differences'
        standard deviations.
    """
    rows = {}
    for number in NUMBERS:
        chosen = accuracies[accuracies["moment"].isin(spread_evenly(number))]
        means = chosen.pivot_table("val_accuracy", "seed", "condition", aggfunc="mean", sort=False)
        pairs = {
            f"{one} − {other}": (means[one] - means[other]).std()
            for one, other in combinations(means.columns, 2)
        }
        pooled = np.sqrt(np.mean(np.square([*pairs.values()])))
        rows[number] = {**means.std(), **pairs, "root mean square of pairs": pooled}
    return pd.DataFrame.from_dict(rows, orient="index")


def print_noise(noise: pd.DataFrame) -> None:
    """Print the result of `measure_noise` as a Markdown table."""
    print(f"| moments | {' | '.join(noise.columns)} |")
    print(f"| ---: |{' ---: |' * len(noise.columns)}")
    for number, row in noise.iterrows():
        print(f"| {number} | {' | '.join(f'{value:.3f}' for value in row)} |")


def measure_cost(images: int | None) -> None:
    """Measure the processor time that moments add to a trial of the base network, and print it.

    Args:
        images: Number of training images, with a sixth as many for validation; None: all.
    """
    import torch
    from throughput import BASELINE, EVALUATION, load_data

    from cnn_ablation.training import loop
    from cnn_ablation.training.training_data import TRAINING_ARRAYS, TrainingData

    torch.set_num_threads(1)
    loaded = load_data()
    kept = {"train": images, "validation": images and images // 6}
    arrays = {name: loaded.arrays[name][: kept[name.partition("_")[0]]] for name in TRAINING_ARRAYS}
    mean, std = loaded.summary["mean"], loaded.summary["std"]
    data = TrainingData.from_arrays(arrays, mean, std, torch.device("cpu"))
    epochs = BASELINE.training.epochs
    once = BASELINE.model_copy(
        update={"training": BASELINE.training.model_copy(update={"epochs": 1})},
    )
    seconds: dict[int, list[float]] = {1: [], EVALUATION.moments: []}
    epoch, fit = [], []
    for seed in range(ROUNDS):
        for moments, times in seconds.items():
            start = time.process_time()
            measured = loop.train(once, seed, data, 10, moments=moments).measurements
            times.append(time.process_time() - start)
            epoch.append(measured.history[0]["compute_seconds"])
            fit.append(measured.fit["seconds_per_image"] * len(data.train_labels))
    without, with_moments = map(statistics.median, seconds.values())
    added = with_moments - without
    trial = without + (epochs - 1) * statistics.median(epoch)
    print(f"Processor time of one thread, median of {ROUNDS}, torch {torch.__version__}")
    print(f"| | s | share of a trial of {epochs} epochs |\n| --- | ---: | ---: |")
    for name, value in {
        f"{EVALUATION.moments - 1} more evaluations of {len(data.validation_labels):,} images": added,
        f"evaluation of the {len(data.train_labels):,} training images": statistics.median(fit),
        "one epoch with one evaluation": statistics.median(epoch),
        f"trial of {epochs} epochs without moments, extrapolated": trial,
    }.items():
        print(f"| {name} | {value:.2f} | {100 * value / trial:.1f} % |")


def main() -> None:
    """Train or measure if requested, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, metavar="SEEDS", help="train this many seeds per condition")
    parser.add_argument("--cost", action="store_true", help="measure the time that moments take")
    parser.add_argument("--images", type=int, help="with --cost: number of training images")
    options = parser.parse_args()
    if options.cost:
        measure_cost(options.images)
        return
    if options.train:
        train(options.train)
    if not TABLE.exists():
        parser.error(f"no {TABLE.relative_to(ROOT)} yet; train the seeds first with --train 20")
    accuracies = pd.read_csv(TABLE)
    print(f"{accuracies['seed'].nunique()} seeds; standard deviations in points of accuracy\n")
    print_noise(measure_noise(accuracies))


if __name__ == "__main__":
    main()
