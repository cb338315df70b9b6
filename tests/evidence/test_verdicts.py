"""Verdicts on each kind of claim."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from cnn_ablation.evidence import verdicts
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.parameters import EvidenceParameters

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2)
IMAGES = {"train": 60_000, "validation": 10_000}


def claim(kind: str, **fields: Any) -> Claim:
    parsed: Claim = TypeAdapter(Claim).validate_python({"text": "So it is.", "kind": kind, **fields})
    return parsed


def trials(seeds: int = 8, spread: float = 0.05, **means: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics and histories of conditions that seeds affect alike."""
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 0.4, seeds)
    metrics, histories = [], []
    for position, (condition, mean) in enumerate(means.items()):
        for seed in range(seeds):
            accuracy = mean + luck[seed] + rng.normal(0, spread)
            where = {"condition": condition, "seed": seed}
            metrics.append(
                {
                    **where,
                    "status": "finished",
                    "final_val_accuracy": accuracy,
                    "overfitting_gap": 1.0,
                    "epochs_to_80": 1.0 + 2 * position + (seed == position),
                    "seconds_per_epoch": 10.0 + 5 * position + rng.normal(0, 0.1),
                    "total_params": 1000 * (position + 1),
                }
            )
            histories += [
                {**where, "epoch": epoch, "val_accuracy": accuracy - 20 / epoch, "seconds": 30.0}
                for epoch in (1, 2, 3)
            ]
    return pd.DataFrame(metrics), pd.DataFrame(histories)


def verdict(one: Claim, metrics: pd.DataFrame, histories: pd.DataFrame, looks: int = 1) -> str:
    table = verdicts.judge({"it": one}, metrics, histories, EVIDENCE, IMAGES, looks)
    (row,) = table.to_dict("records")
    assert verdicts.decide({"it": one}, metrics, histories, EVIDENCE, IMAGES, looks) == {
        "it": row["verdict"]
    }
    return str(row["verdict"])


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (claim("above", condition="high", than="low"), "supported"),
        (claim("above", condition="low", than="high"), "contradicted"),
        (claim("above", condition="low", than="same"), "equivalent"),
        (claim("best", condition="high"), "supported"),
        (claim("best", condition="low"), "contradicted"),
        (claim("best", condition="low", among=["same"]), "equivalent"),
        (claim("equivalent", conditions=["low", "same"]), "supported"),
        (claim("equivalent", conditions=["low", "same", "high"]), "contradicted"),
        (claim("trend", direction="rising"), "supported"),
        (claim("trend", direction="falling"), "contradicted"),
        (claim("trend", direction="rising", conditions=["low", "high", "same"]), "equivalent"),
        (
            claim(
                "interaction",
                effect=["high", "low"],
                other_effect=["same", "low"],
                expected="larger",
            ),
            "supported",
        ),
        (
            claim(
                "interaction", effect=["high", "low"], other_effect=["high", "same"], expected="equal"
            ),
            "supported",
        ),
        (
            claim("interaction", effect=["high", "low"], other_effect=["same", "low"], expected="equal"),
            "contradicted",
        ),
        (claim("value", condition="low", metric="total_params", value=1000, tolerance=1), "supported"),
        (claim("value", condition="low", metric="total_params", value=900, tolerance=1), "contradicted"),
        (
            claim(
                "value",
                condition="high",
                relative_to="low",
                metric="total_params",
                value=3,
                tolerance=0.1,
            ),
            "supported",
        ),
        (claim("value", condition="low", value=93, tolerance=0.2), "contradicted"),
        (claim("reaches", condition="low", accuracy=80, within=2), "supported"),
        (claim("reaches", condition="low", accuracy=80, within=1), "contradicted"),
        (
            claim("above", condition="high", than="low", metric="epochs_to_80", smallest_effect=0.5),
            "supported",
        ),
    ],
)
def test_verdict_on_each_kind_of_claim(one: Claim, expected: str) -> None:
    assert verdict(one, *trials(low=91.0, same=91.0, high=92.0)) == expected


def test_an_undecided_claim_says_how_many_seeds_would_decide_it() -> None:
    metrics, histories = trials(seeds=4, spread=0.4, low=91.0, high=91.2)
    table = verdicts.judge(
        {"it": claim("above", condition="high", than="low", claimed=0.2)},
        metrics,
        histories,
        EVIDENCE,
        IMAGES,
    )
    (row,) = table.to_dict("records")
    assert row["verdict"] == "undecided"
    assert row["seeds"] == 4
    assert row["seeds_needed"] > 4
    # Two conditions of three epochs of 30 s.
    assert row["worker_minutes"] == pytest.approx((row["seeds_needed"] - 4) * 2 * 1.5)
    assert "would decide it" in row["finding"]
    assert "claimed 0.20 points" in row["finding"]


def test_an_undecided_claim_needs_more_seeds_than_there_are() -> None:
    metrics, histories = trials(seeds=4, spread=0.08, low=91.0, high=91.35)
    one = claim("above", condition="high", than="low")
    vain = claim("value", condition="low", value=91.0, tolerance=0.001)
    claims = {"it": one, **{f"other{n}": vain for n in range(20)}}
    table = verdicts.judge(claims, metrics, histories, EVIDENCE, IMAGES)
    open_ones = table[table["verdict"] == "undecided"]
    assert "it" in set(open_ones["claim"])
    assert (open_ones["seeds_needed"].dropna() > 4).all()


def test_the_finding_about_a_value_has_its_unit_and_no_pairing() -> None:
    one = claim("value", condition="low", value=91.0, tolerance=1.0)
    finding = verdicts.judge({"it": one}, *trials(low=91.0), EVIDENCE, IMAGES)["finding"].item()
    assert finding.startswith("low: 9")
    assert " %, claimed 91.00 %" in finding
    assert finding.endswith("8 seeds)")


def test_one_seed_leaves_a_difference_undecided() -> None:
    table = verdicts.judge(
        {"it": claim("above", condition="high", than="low")},
        *trials(1, low=91.0, high=95.0),
        EVIDENCE,
        IMAGES,
    )
    (row,) = table.to_dict("records")
    assert row["verdict"] == "undecided"
    assert np.isnan(row["low"])
    assert "one seed cannot tell" in row["finding"]


def test_one_seed_decides_a_metric_that_does_not_depend_on_the_seed() -> None:
    one = claim("value", condition="low", metric="total_params", value=1000, tolerance=1)
    assert verdict(one, *trials(1, low=91.0)) == "supported"


def test_diverged_trials_are_left_out_with_their_pairs() -> None:
    metrics, histories = trials(low=91.0, high=92.0)
    lost = (metrics["condition"] == "high") & (metrics["seed"] == 3)
    metrics.loc[lost, "status"] = "diverged"
    metrics.loc[lost, "final_val_accuracy"] = 10.0
    table = verdicts.judge(
        {"it": claim("above", condition="high", than="low")}, metrics, histories, EVIDENCE, IMAGES
    )
    assert table["seeds"].item() == 7
    assert table["verdict"].item() == "supported"


def test_more_claims_need_more_evidence() -> None:
    metrics, histories = trials(seeds=4, spread=0.08, low=91.0, high=91.35)
    one = claim("above", condition="high", than="low")
    vain = claim("value", condition="low", value=91.0, tolerance=0.001)
    alone = verdicts.decide({"it": one}, metrics, histories, EVIDENCE, IMAGES)
    among = verdicts.decide(
        {"it": one, **{f"other{n}": vain for n in range(20)}}, metrics, histories, EVIDENCE, IMAGES
    )
    assert (alone["it"], among["it"]) == ("supported", "undecided")
    assert verdict(one, metrics, histories, looks=20) == "undecided"


def test_without_claims_the_table_is_empty() -> None:
    table = verdicts.judge({}, *trials(low=91.0), EVIDENCE, IMAGES)
    assert table.empty
    assert "verdict" in table.columns


def test_one_condition_gives_no_pair() -> None:
    table = verdicts.compare_pairs(trials(low=91.0)[0], EVIDENCE, IMAGES)
    assert table.empty
    assert "correlation" in table.columns


def test_pairing_lowers_the_sd_and_the_seeds_needed() -> None:
    metrics, _ = trials(seeds=10, low=91.0, same=91.0, high=92.0)
    table = verdicts.compare_pairs(metrics, EVIDENCE, IMAGES)
    assert list(zip(table["condition"], table["other"], strict=True)) == [
        ("low", "same"),
        ("low", "high"),
        ("same", "high"),
    ]
    assert (table["correlation"] > 0.9).all()
    assert (table["sd"] < table["unpaired_sd"]).all()
    assert (table["seeds_needed"] < table["unpaired_seeds_needed"]).all()


@pytest.mark.parametrize("validation", [1000, 10_000])
@pytest.mark.parametrize(
    "one",
    [
        claim("above", condition="high", than="low"),
        claim("best", condition="high"),
        claim("equivalent", conditions=["low", "high"]),
        claim("value", condition="high", relative_to="low", value=1.0, tolerance=0.5),
        claim("reaches", condition="high", accuracy=80, within=2),
    ],
)
def test_differences_that_are_equal_up_to_rounding_decide_nothing(one: Claim, validation: int) -> None:
    """Two seeds whose differences are 2.7 and 2.7, as in the demo."""
    metrics, histories = trials(2, low=90.0, high=92.7)
    metrics["final_val_accuracy"] = [90.1, 90.1, 92.8, 92.8]
    histories["val_accuracy"] = 90.1
    images = {"train": 2000, "validation": validation}
    table = verdicts.judge({"it": one}, metrics, histories, EVIDENCE, images)
    assert table["verdict"].item() == "undecided"
    assert np.isnan(table["low"].item())
    assert (
        table["finding"].item().endswith("results are equal up to rounding, so their spread is unknown")
    )


@pytest.mark.parametrize(
    ("metric", "step"),
    [
        ("final_val_accuracy", 0.1),
        ("final_train_accuracy", 0.05),
        ("overfitting_gap", 0.05),
        ("epochs_to_80", 1.0),
        ("final_val_loss", 0.0),
        ("seconds_per_epoch", 0.0),
    ],
)
def test_an_accuracy_changes_in_steps_of_one_image(metric: str, step: float) -> None:
    assert verdicts.rounding_step(metric, {"train": 2000, "validation": 1000}) == pytest.approx(step)
