"""Verdicts that carry over from one set of results to another."""

import numpy as np
import pandas as pd
import pytest

from cnn_ablation.evidence.carrying_over import compare_verdicts


def verdicts(**claims: tuple[str, float, float, float]) -> pd.DataFrame:
    """A table of claims with their verdicts, estimates and ends of intervals."""
    columns = ["verdict", "estimate", "low", "high"]
    table = pd.DataFrame.from_dict(claims, orient="index", columns=columns).rename_axis("claim")
    described = {
        "text": "It is.",
        "metric": "mean_val_accuracy",
        "comparison": "a − b",
        "unit": "points",
    }
    return table.assign(**described).reset_index()


def test_verdicts_carry_over_or_not() -> None:
    names = ("same", "opposite", "smaller", "lost", "only_here")
    ours = ("supported", "supported", "supported", "contradicted", "supported")
    theirs = {
        "same": "supported",
        "opposite": "contradicted",
        "smaller": "equivalent",
        "lost": "undecided",
    }
    first = verdicts(**{name: (each, 1.0, 0.5, 1.5) for name, each in zip(names, ours, strict=True)})
    second = verdicts(**{name: (each, 1.0, 0.5, 1.5) for name, each in theirs.items()})
    compared = compare_verdicts(first, second, independent=True)
    assert compared["claim"].tolist() == list(theirs)
    assert compared["outcome"].tolist() == ["carries over", "reversed", "changed", "open"]
    assert compared["verdict_b"].tolist() == list(theirs.values())


def test_the_interval_of_the_difference_combines_both() -> None:
    first = verdicts(equal=("supported", 2.0, 1.7, 2.6), exact=("supported", 3.0, 3.0, 3.0))
    second = verdicts(equal=("supported", 1.0, 0.2, 1.4), exact=("supported", 1.0, 1.0, 1.0))
    compared = compare_verdicts(first, second, independent=True).set_index("claim")
    assert compared.loc["equal", ["difference", "low", "high"]].tolist() == pytest.approx(
        [-1.0, -1 - np.hypot(0.6, 0.8), -1 + np.hypot(0.3, 0.4)]
    )
    assert compared.loc["exact", ["difference", "low", "high"]].tolist() == [-2, -2, -2]


@pytest.mark.parametrize(
    "other", [{"unit": "%"}, {"metric": "best_val_accuracy"}, {"comparison": "a − c"}]
)
def test_estimates_of_different_quantities_have_no_difference(other: dict[str, str]) -> None:
    first = verdicts(claim=("supported", 2.0, 1.7, 2.6))
    compared = compare_verdicts(first, first.assign(**other), independent=True)
    assert compared["outcome"].tolist() == ["carries over"]
    assert compared[["difference", "low", "high"]].isna().all(axis=None)


def test_the_interval_covers_the_difference_of_two_data_sets() -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        rows = []
        for mean, sd in ((0.5, 0.2), (0.1, 0.4)):
            sample = random.normal(mean, sd, 5)
            half = 2.776 * sample.std(ddof=1) / np.sqrt(5)
            rows.append(("undecided", sample.mean(), sample.mean() - half, sample.mean() + half))
        compared = compare_verdicts(*(verdicts(a=row) for row in rows), independent=True).iloc[0]
        covered.append(compared["low"] <= -0.4 <= compared["high"])
    assert np.mean(covered) > 0.93


def test_one_seed_gives_no_interval() -> None:
    single = verdicts(a=("undecided", 1.0, np.nan, np.nan))
    compared = compare_verdicts(single, verdicts(a=("supported", 0.5, 0.4, 0.6)), independent=True).iloc[
        0
    ]
    assert compared["difference"] == -0.5
    assert np.isnan(compared["low"])
    assert np.isnan(compared["high"])


def test_results_that_are_not_independent_have_no_interval() -> None:
    first, second = (verdicts(a=("supported", size, size - 0.1, size + 0.1)) for size in (1.0, 1.5))
    compared = compare_verdicts(first, second, independent=False).iloc[0]
    assert compared["difference"] == 0.5
    assert compared[["low", "high"]].isna().all()
