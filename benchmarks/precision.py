"""Test whether bf16 on a GPU is as accurate as fp32 on a CPU, in pairs of the same seed.

    .venv/bin/python benchmarks/precision.py

The accuracies in bf16 are those of the published study, which was trained on a GPU. Those in fp32 are
those that `moments.py` measured on a CPU: the mean over 20 moments of the last epoch, in percent, on all
of Fashion-MNIST. The precisions count as equal if two one-sided tests show it for each network
(intersection-union test; Berger, 1982). The number of seeds was fixed before the first training in fp32.
"""

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from moments import CONDITIONS, TABLE, spread_evenly

from cnn_ablation.evidence import effects
from cnn_ablation.study.quantities import PRIMARY_METRIC

STUDY = ROOT / "docs/study/overall/trial_metrics.csv"
MARGIN = 0.1
"""Largest difference that does not matter, in points of accuracy."""

LEVEL = 0.05
MOMENTS = 20
"""Number of evaluations in the last epoch, as in the study."""


def read_accuracies() -> pd.DataFrame:
    """Accuracies, percent: a row per network and seed, with columns bf16 and fp32."""
    fp32 = pd.read_csv(TABLE)
    fp32 = fp32[fp32["moment"].isin(spread_evenly(MOMENTS))]
    bf16 = pd.read_csv(STUDY).set_index(["condition", "seed"])[PRIMARY_METRIC]
    means = fp32.groupby(["condition", "seed"], sort=False)["val_accuracy"].mean()
    return pd.DataFrame({"bf16": bf16, "fp32": means}).dropna().loc[[*CONDITIONS]]


def compare(table: pd.DataFrame) -> None:
    """Print a row per network, and the verdict.

    Args:
        table: Accuracies, percent: a row per network and seed, a column per precision.
    """
    print("| network | seeds | fp32 (%) | bf16 (%) | bf16 − fp32 (points) | 90 % interval | p |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    p_values = []
    for network, rows in table.groupby(level="condition", sort=False):
        values = rows.droplevel("condition")
        effect = effects.contrast(values, {"bf16": 1, "fp32": -1})
        low, high = effect.interval(0.90)
        p_values.append(max(effect.p_above(-MARGIN), effect.p_below(MARGIN)))
        print(
            f"| {network} | {effect.seeds} | {values['fp32'].mean():.2f} | {values['bf16'].mean():.2f} "
            f"| {effect.estimate:+.3f} | {low:+.3f} to {high:+.3f} | {p_values[-1]:.4f} |"
        )
    verdict = "equivalent" if max(p_values) <= LEVEL else "not shown to be equivalent"
    print(f"Within ± {MARGIN} points for each network: {verdict} (p = {max(p_values):.4f})")


if __name__ == "__main__":
    compare(read_accuracies())
