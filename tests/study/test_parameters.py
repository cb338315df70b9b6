"""The groups of parameters that all experiments share."""

from typing import Any

import pytest
from pydantic import ValidationError

from cnn_ablation.study.parameters import SeedParameters


@pytest.mark.parametrize(
    ("seeds", "reason"),
    [
        (0, "at least 1 is needed"),
        (-3, "at least 1 is needed"),
        ([], "at least 1 item"),
        ([0, -1], "greater than or equal to 0"),
        ([0, 1, 0], "duplicate seeds: 0"),
        ("three", "valid list"),
        (True, "valid list"),
    ],
)
def test_seeds_reject(seeds: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SeedParameters.model_validate(seeds)


def test_a_number_of_seeds_counts_from_zero() -> None:
    assert SeedParameters.model_validate(3).root == [0, 1, 2]
    assert SeedParameters.model_validate([7, 3]).root == [7, 3]
