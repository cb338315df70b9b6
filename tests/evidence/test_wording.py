"""Findings in words."""

import pytest

from cnn_ablation.evidence.wording import describe_finding

OPEN = {
    "unit": "points",
    "is_difference": True,
    "comparison": "one − two",
    "estimate": 0.1,
    "low": -0.4,
    "high": 0.6,
    "claimed": None,
    "kind": "above",
    "paired": True,
    "seeds": 3,
    "verdict": "undecided",
    "level": 0.01,
    "seeds_needed": 5767,
    "worker_minutes": None,
}


@pytest.mark.parametrize(
    ("anew", "words"), [(False, "about 5,767 seeds would"), (True, "about 5,767 new seeds")]
)
def test_large_numbers_of_seeds_have_separators(anew: bool, words: str) -> None:
    assert words in describe_finding(OPEN, anew=anew)
