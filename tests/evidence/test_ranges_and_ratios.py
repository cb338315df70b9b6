"""Verdicts on claims about a range of conditions, and on differences that are divided by a metric."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from cnn_ablation.evidence import verdicts
from cnn_ablation.evidence.measuring import Results, list_contrasts
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.trials import Condition
from tests.conftest import JOURNAL_MODEL, QUICK_TRAINING

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=8, spending="pocock")
RANGE = {"kind": "best", "condition": "low", "alternatives": ["middle"]}
TIME = {
    "kind": "interaction",
    "metric": "compute_seconds_per_epoch",
    "effect": ["high", "middle"],
    "other_effect": ["middle", "low"],
    "relative_to": "middle",
    "smallest_effect": 0.1,
}


def row_of(means: dict[str, float], **fields: Any) -> dict[str, Any]:
    """The verdict on a claim about conditions with these means, with eight seeds."""
    claim: Claim = TypeAdapter(Claim).validate_python({"text": "So it is.", **fields})
    rng = np.random.default_rng(0)
    rows = [
        {
            "condition": name,
            "seed": seed,
            "status": "finished",
            claim.metric: (mean + rng.normal(0, 0.02)) if mean else 0.0,
        }
        for name, mean in means.items()
        for seed in range(8)
    ]
    conditions = [
        Condition(
            name=name,
            levels={},
            model=JOURNAL_MODEL.model_copy(update={"dropout_rate": place / 10}),
            training=QUICK_TRAINING,
        )
        for place, name in enumerate(means)
    ]
    histories = pd.DataFrame(
        [
            {"condition": row["condition"], "seed": row["seed"], "epoch": 1, "seconds": 1.0}
            for row in rows
        ]
    )
    results = Results(
        claims={"it": claim},
        conditions=conditions,
        trial_metrics=pd.DataFrame(rows),
        histories=histories,
        images={"train": 60_000, "validation": 10_000},
        moments=20,
    )
    family = list_contrasts(results.claims, conditions)
    tables, _ = verdicts.judge({"it": results}, family, EVIDENCE, {})
    row: dict[str, Any] = tables["it"].iloc[0].to_dict()
    return row


@pytest.mark.parametrize(
    ("means", "verdict", "shown"),
    [
        ({"low": 92.0, "middle": 91.0, "none": 91.0, "high": 90.0}, "supported", "low − none"),
        ({"low": 91.0, "middle": 92.0, "none": 91.0, "high": 90.0}, "supported", "middle − none"),
        ({"low": 92.0, "middle": 92.0, "none": 91.0, "high": 90.0}, "supported", None),
        ({"low": 91.5, "middle": 91.6, "none": 92.0, "high": 90.0}, "contradicted", "middle − none"),
        ({"low": 91.0, "middle": 91.0, "none": 92.0, "high": 92.0}, "contradicted", None),
        ({"low": 91.0, "middle": 92.0, "none": 92.0, "high": 90.0}, "among the best", "middle − none"),
        # Each member of the range beats one rival, but none of them beats both.
        ({"low": 91.4, "middle": 91.0, "none": 91.7, "high": 91.2}, "contradicted", "low − none"),
    ],
)
def test_a_range_is_the_best_if_any_of_its_conditions_is(
    means: dict[str, float], verdict: str, shown: str | None
) -> None:
    row = row_of(means, **RANGE)
    assert row["verdict"] == verdict
    assert row["contrasts"] == 4
    assert shown in (None, row["comparison"])


def test_a_range_is_not_contradicted_by_one_of_its_conditions() -> None:
    """The other one has no results, so that it can still be the best."""
    means = {"low": np.nan, "middle": 91.0, "none": 92.0}
    row = row_of(means, **RANGE)
    assert row["verdict"] == "undecided"
    assert row["comparison"] == "middle − none"


def test_a_range_has_the_level_of_its_weakest_comparison() -> None:
    means = {"low": 91.0, "middle": 91.3, "none": 91.2}
    row = row_of(means, **RANGE)
    alone = row_of(means, kind="above", condition="middle", than="none")
    assert row["estimate"] == alone["estimate"]
    assert row["level"] == pytest.approx(alone["level"] / 2)


@pytest.mark.parametrize(
    ("slowest", "expected", "verdict"),
    [
        (22.0, "equal", "supported"),
        (26.0, "equal", "contradicted"),
        (26.0, "larger", "supported"),
        (22.0, "larger", "equivalent"),
    ],
)
@pytest.mark.parametrize("speed", [1.0, 0.1])
def test_growth_is_compared_by_the_same_rule_on_any_machine(
    slowest: float, expected: str, verdict: str, speed: float
) -> None:
    means = {"low": 15.0 / speed, "middle": 18.0 / speed, "high": slowest / speed}
    row = row_of(means, **TIME, expected=expected)
    assert row["verdict"] == verdict
    assert row["estimate"] == pytest.approx((slowest - 18 - 3) / 18, abs=0.005)
    assert row["comparison"] == "((high − middle) − (middle − low)) / middle"
    assert row["unit"] == "ratio"


@pytest.mark.parametrize(
    "claim",
    [
        {**TIME, "metric": "val_accuracy_spread", "expected": "larger"},
        {
            "kind": "above",
            "metric": "val_accuracy_spread",
            "condition": "high",
            "than": "middle",
            "relative": True,
            "smallest_effect": 1.0,
        },
    ],
    ids=["ratio", "relative"],
)
def test_a_ratio_to_zero_decides_nothing(claim: dict[str, Any]) -> None:
    row = row_of({"low": 1.0, "middle": 0.0, "high": 2.0}, **claim)
    assert row["verdict"] == "undecided"
    assert np.isnan(row["estimate"])
    assert "inf" not in row["finding"]
