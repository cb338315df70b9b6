"""The effect of pairing conditions by seed."""

import numpy as np
import pandas as pd

from cnn_ablation.evidence.pairs import compare_pairs
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.trials import Condition

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=8, spending="pocock")
IMAGES = {"train": 60_000, "validation": 10_000}


def compare(trial_metrics: pd.DataFrame, baseline: Configuration) -> pd.DataFrame:
    conditions = {
        name: Condition(name=name, levels={}, **dict(baseline)) for name in trial_metrics["condition"]
    }
    return compare_pairs(trial_metrics, conditions, EVIDENCE, IMAGES, 1)


def simulate(**means: float) -> pd.DataFrame:
    """Metrics of ten trials per condition; a seed affects all conditions alike, and each a little."""
    luck = np.random.default_rng(0).normal(0, 0.4, 10)
    own = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "condition": name,
            "seed": seed,
            "status": "finished",
            "mean_val_accuracy": mean + luck[seed] + own.normal(0, 0.05),
        }
        for name, mean in means.items()
        for seed in range(10)
    )


def test_one_condition_gives_no_pair(baseline: Configuration) -> None:
    table = compare(simulate(low=91.0), baseline)
    assert table.empty
    assert "correlation" in table.columns


def test_pairing_lowers_the_sd_and_the_seeds_needed(baseline: Configuration) -> None:
    table = compare(simulate(low=91.0, same=91.0, high=92.0), baseline)
    assert list(zip(table["condition"], table["other"], strict=True)) == [
        ("low", "same"),
        ("low", "high"),
        ("same", "high"),
    ]
    assert (table["correlation"] > 0.9).all()
    assert (table["sd"] < table["unpaired_sd"]).all()
    assert (table["seeds_needed"] < table["unpaired_seeds_needed"]).all()
