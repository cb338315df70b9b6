"""Test whether mixed precision is as accurate as full precision, in pairs of the same seed.

    .venv/bin/python benchmarks/precision.py --train 20  # trains 20 seeds each, writes precision.csv
    .venv/bin/python benchmarks/precision.py             # uses the accuracies in precision.csv

The test compares final validation accuracies of the base network, in percent, on all of Fashion-MNIST.
The number of seeds was fixed before the first training.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from throughput import BASELINE, EVALUATION, load_data

from cnn_ablation.evidence import effects

TABLE = Path(__file__).with_suffix(".csv")
MARGIN = 0.2
"""Largest difference that does not matter, in points of accuracy."""

LEVEL = 0.05
STORE = ROOT / "data/06_models/trials"
"""The study's store, so that the study reuses these trials."""


def train(seeds: int) -> None:
    """Train the trials that the store lacks, and write the table of accuracies."""
    from cnn_ablation.execution.engine import Engine
    from cnn_ablation.execution.progress import StudyProgress
    from cnn_ablation.execution.store import TrialStore
    from cnn_ablation.study.parameters import ExecutionParameters
    from cnn_ablation.study.trials import Condition, Trial

    condition = Condition(name="base", levels={}, **dict(BASELINE))
    trials = [Trial(condition=condition, seed=seed) for seed in range(seeds)]
    columns = {}
    data = load_data()
    for precision in ("bf16", "fp32"):
        execution = ExecutionParameters.model_validate(
            {
                "device": "cpu",
                "precision": precision,
                "layers": "fast",
                "workers": None,
                "scheduler": None,
                "tls": None,
            }
        )
        engine = Engine(StudyProgress())
        columns[precision] = {
            outcome.trial.seed: outcome.stored.metrics["final_val_accuracy"]
            for outcome in engine.train(trials, data, TrialStore(STORE), execution, EVALUATION)
            if outcome.stored is not None
        }
        engine.close()
    pd.DataFrame(columns).rename_axis("seed").sort_index().round(2).to_csv(TABLE)


def main() -> None:
    """Train if requested, and print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, metavar="SEEDS", help="train this many seeds per precision")
    options = parser.parse_args()
    if options.train:
        train(options.train)
    if not TABLE.exists():
        parser.error(f"no {TABLE.relative_to(ROOT)} yet; train the seeds first with --train 20")
    table = pd.read_csv(TABLE, index_col="seed")
    effect = effects.contrast(table, {"bf16": 1, "fp32": -1})
    low, high = effect.interval(0.90)
    for precision, values in table.items():
        print(f"{precision}: {values.mean():.2f} % (sd {values.std():.2f}, {len(values)} seeds)")
    print(
        f"bf16 − fp32: {effect.estimate:+.3f} points, 90 % interval {low:+.3f} to {high:+.3f} "
        f"(paired by seed, correlation {effect.correlation:.2f})"
    )
    p_value = effect.p_within(MARGIN)
    verdict = "equivalent" if p_value <= LEVEL else "not shown to be equivalent"
    print(f"within ± {MARGIN} points: {verdict} (two one-sided tests, p = {p_value:.4f})")


if __name__ == "__main__":
    main()
