"""Test whether mixed precision is as accurate as full precision, in pairs of the same seed.

    .venv/bin/python benchmarks/precision.py --train 8   # trains 8 seeds each, writes precision.csv
    .venv/bin/python benchmarks/precision.py             # uses the accuracies in precision.csv

Three networks are compared by the primary metric, the mean validation accuracy over the last epoch, in
percent, on all of Fashion-MNIST: the base network, the one without batch normalization, and the one with
one convolutional layer. The precisions count as equal if two one-sided tests show it for each network
(intersection-union test; Berger, 1982). The number of seeds was fixed before the first training.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from throughput import BASELINE, load_data

from cnn_ablation.evidence import effects
from cnn_ablation.study.quantities import PRIMARY_METRIC

TABLE = Path(__file__).with_suffix(".csv")
MARGIN = 0.1
"""Largest difference that does not matter, in points of accuracy."""

LEVEL = 0.05
STORE = ROOT / "data/06_models/trials"
"""The study's store, so that the study reuses these trials."""

MOMENTS = 20
"""Number of evaluations in the last epoch, as in the study."""

NETWORKS: dict[str, dict[str, Any]] = {
    "base": {},
    "no batch normalization": {"use_batch_norm": False},
    "one layer": {"conv_channels": [32]},
}
"""Settings of each network that differ from the base network's."""


def train(seeds: int) -> None:
    """Train the trials that the store lacks, and write the table of accuracies."""
    from cnn_ablation.execution.engine import Engine
    from cnn_ablation.execution.progress import StudyProgress
    from cnn_ablation.execution.store import TrialStore
    from cnn_ablation.study.parameters import EvaluationParameters, ExecutionParameters
    from cnn_ablation.study.trials import Condition, Trial

    trials = [
        Trial(
            condition=Condition(
                name=name,
                levels={},
                model=BASELINE.model.model_copy(update=changes),
                training=BASELINE.training,
            ),
            seed=seed,
        )
        for name, changes in NETWORKS.items()
        for seed in range(seeds)
    ]
    rows = []
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
        evaluation = EvaluationParameters(moments=MOMENTS)
        rows += [
            {
                "network": outcome.trial.condition.name,
                "seed": outcome.trial.seed,
                "precision": precision,
                "accuracy": round(outcome.stored.metrics[PRIMARY_METRIC], 4),
            }
            for outcome in engine.train(trials, data, TrialStore(STORE), execution, evaluation)
            if outcome.stored is not None
        ]
        engine.close()
    table = pd.DataFrame(rows).pivot(index=["network", "seed"], columns="precision", values="accuracy")
    table.loc[list(NETWORKS)].to_csv(TABLE)


def compare(table: pd.DataFrame) -> None:
    """Print a row per network, and the verdict.

    Args:
        table: Accuracies, percent: a row per network and seed, a column per precision.
    """
    print("| network | seeds | fp32 (%) | bf16 (%) | bf16 − fp32 (points) | 90 % interval | p |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    p_values = []
    for network, rows in table.groupby(level="network", sort=False):
        values = rows.droplevel("network")
        effect = effects.contrast(values, {"bf16": 1, "fp32": -1})
        low, high = effect.interval(0.90)
        p_values.append(max(effect.p_above(-MARGIN), effect.p_below(MARGIN)))
        print(
            f"| {network} | {effect.seeds} | {values['fp32'].mean():.2f} | {values['bf16'].mean():.2f} "
            f"| {effect.estimate:+.3f} | {low:+.3f} to {high:+.3f} | {p_values[-1]:.4f} |"
        )
    verdict = "equivalent" if max(p_values) <= LEVEL else "not shown to be equivalent"
    print(f"Within ± {MARGIN} points for each network: {verdict} (p = {max(p_values):.4f})")


def main() -> None:
    """Train if requested, and print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, metavar="SEEDS", help="train this many seeds per precision")
    options = parser.parse_args()
    if options.train:
        train(options.train)
    if not TABLE.exists():
        parser.error(f"no {TABLE.relative_to(ROOT)} yet; train the seeds first with --train 8")
    compare(pd.read_csv(TABLE, index_col=["network", "seed"]))


if __name__ == "__main__":
    main()
