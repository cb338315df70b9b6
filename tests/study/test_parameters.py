"""The groups of parameters that all experiments share."""

from typing import Any

import pytest
from pydantic import ValidationError

from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters, SeedParameters


@pytest.mark.parametrize(
    ("seeds", "reason"),
    [
        (0, "at least 1 is needed"),
        (-3, "at least 1 is needed"),
        ([], "at least 1 item"),
        ([0, -1], "greater than or equal to 0"),
        ([0, 1, 0], "duplicate seeds: 0"),
        ("three", "needs a number of seeds, such as 3, or a list"),
        (True, "needs a number of seeds, such as 3, or a list"),
        (10_000_000, "10,000,000 seeds: at most 10,000 are allowed"),
        (10**30, "at most 10,000 are allowed"),
        (list(range(10_001)), "at most 10000 items"),
    ],
)
def test_seeds_reject(seeds: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SeedParameters.model_validate(seeds)


def test_a_number_of_seeds_counts_from_zero() -> None:
    assert SeedParameters.model_validate(3).root == [0, 1, 2]
    assert SeedParameters.model_validate([7, 3]).root == [7, 3]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        EvidenceParameters.model_validate({"level": 0.05, "smallest_effect": value})
    with pytest.raises(ValidationError, match="finite number"):
        PursuitParameters.model_validate({"seeds": [2], "minutes": value})


def test_looks_have_as_many_seeds_as_a_condition_may_have() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 10000"):
        PursuitParameters.model_validate({"seeds": [2, 10_000_000], "minutes": None})
