"""Experiments are found among the groups of parameters."""

from typing import Any

import pytest

from cnn_ablation.errors import ParameterError
from cnn_ablation.study.groups import Experiment, find_experiments, group_by_study

SHARED = {"seeds": [0, 1], "baseline": {"model": {}}}
TEXTS = {"title": "T", "question": "Q?", "hypothesis": "H."}


def find(**groups: Any) -> list[Experiment]:
    return find_experiments(SHARED | groups, reserved={"journal", "training"})


def test_a_group_with_a_title_is_an_experiment() -> None:
    assert find(kernel_size={"title": "T"}) == [
        Experiment("kernel_size", study=None, order=100, figure="kernel_size_comparison")
    ]
    assert find() == []


def test_experiments_come_by_order_then_by_name() -> None:
    found = find(
        c={**TEXTS, "order": 1, "figure": "impact"},
        b={**TEXTS, "study": "main"},
        a={**TEXTS, "order": -1},
    )
    assert [experiment.name for experiment in found] == ["a", "c", "b"]
    assert found[1].figure == "impact"


def test_studies_keep_the_order_of_their_experiments() -> None:
    found = find(b={**TEXTS, "study": "more"}, a={**TEXTS, "study": "more"}, c=TEXTS)
    assert group_by_study(found) == {"main": [], "more": ["a", "b"]}


def test_values_of_a_wrong_type_are_left_to_the_validation_of_types() -> None:
    (found,) = find(a={**TEXTS, "study": 1, "order": "first", "figure": "../impact"})
    assert found == Experiment("a", study=None, order=100, figure="a_comparison")


@pytest.mark.parametrize(
    ("groups", "key", "reason"),
    [
        ({"basline": {"model": {}}}, "basline", r"no such group; .* Did you mean 'baseline'\?"),
        ({"droput": {"claims": None}, "dropout": TEXTS}, "droput", r"Did you mean 'dropout'\?"),
        ({"kernel_size": None}, "kernel_size", "each with title, question and hypothesis"),
        ({"kernel.size": TEXTS}, "kernel.size", "allowed: at most 100 letters, digits and underscores"),
        ({"kernel size": TEXTS}, "kernel size", "allowed: at most 100 letters, digits and underscores"),
        ({"_size": TEXTS}, "_size", "beginning with a letter"),
        ({"baseline": TEXTS}, "baseline.title", "'baseline' is taken; allowed: any but baseline"),
        ({"journal": TEXTS}, "journal", "'journal' is taken"),
        ({"main": TEXTS}, "main", "'main' is taken"),
        ({"a": {**TEXTS, "study": "journal"}}, "a.study", "'journal' is taken"),
        ({"a": {**TEXTS, "study": "b"}, "b": TEXTS}, "a.study", "'b' is taken"),
        ({"a": {**TEXTS, "study": "my study"}}, "a.study", "letters, digits and underscores"),
        (
            {"a": {**TEXTS, "figure": "claims"}},
            "a.figure",
            "claims.png is another figure of this",
        ),
    ],
)
def test_names_that_cannot_be_used(groups: dict[str, Any], key: str, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as caught:
        find(**groups)
    assert caught.value.key == key
