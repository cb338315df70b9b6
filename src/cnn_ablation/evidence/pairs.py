"""The effect of pairing by seed on the comparisons of an experiment's conditions."""

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from cnn_ablation.evidence.effects import contrast, seeds_to_show
from cnn_ablation.evidence.measuring import by_seed, rounding_step
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.quantities import PRIMARY_METRIC
from cnn_ablation.study.trials import Condition

PAIR_COLUMNS = [
    *("condition", "other", "seeds", "difference", "low", "high", "correlation", "sd", "unpaired_sd"),
    *("seeds_needed", "unpaired_seeds_needed"),
]


def compare_pairs(
    trial_metrics: pd.DataFrame,
    conditions: Mapping[str, Condition],
    evidence: EvidenceParameters,
    images: Mapping[str, int],
    moments: int,
) -> pd.DataFrame:
    """The effect of pairing by seed on the primary metric, a row per pair of an experiment's conditions.

    Args:
        trial_metrics: A row per trial, see `evaluation.nodes.score_trials`.
        conditions: By name.
        evidence: The smallest effect that matters.
        images: Number of images by split.
        moments: See `Configuration.moments`.

    Returns:
        Columns: condition; other; seeds; difference, low and high (within seeds if at least two are
        shared, otherwise as `contrast` says); correlation over seeds; sd of these differences;
        unpaired_sd of differences between independent runs (from the shared seeds); seeds_needed and
        unpaired_seeds_needed to show a difference as large as the smallest effect that matters.
    """
    values = by_seed(trial_metrics, PRIMARY_METRIC)
    rows = []
    for one, other in combinations(values.columns, 2):
        shared = values[[one, other]].dropna()
        compared = [conditions[one], conditions[other]]
        step = rounding_step(PRIMARY_METRIC, compared, images, moments)
        effect = contrast(values, {one: 1, other: -1}, step)
        unpaired = float(np.hypot(*shared.std())) if len(shared) > 1 else float("nan")
        low, high = effect.interval()
        rows.append(
            {
                "condition": one,
                "other": other,
                "seeds": effect.seeds,
                "difference": effect.estimate,
                "low": low,
                "high": high,
                "correlation": effect.correlation,
                "sd": effect.sd,
                "unpaired_sd": unpaired,
                "seeds_needed": seeds_to_show(evidence.smallest_effect, effect.sd),
                "unpaired_seeds_needed": seeds_to_show(
                    evidence.smallest_effect, unpaired / math.sqrt(2), paired=False
                ),
            }
        )
    table = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    return table.astype({"seeds_needed": "Int64", "unpaired_seeds_needed": "Int64"})
