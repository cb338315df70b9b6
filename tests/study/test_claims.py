"""Claims: what is rejected."""

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cnn_ablation.errors import ParameterError
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.configuration import Configuration
from tests.study.test_experiment import experiment

ABOVE = {"kind": "above", "condition": "a", "than": "b"}
VALUE = {"kind": "value", "condition": "a", "value": 1.0, "tolerance": 0.1}
INTERACTION = {"kind": "interaction", "effect": ["a", "b"], "expected": "equal"}


@pytest.mark.parametrize(
    ("claim", "field", "reason"),
    [
        (ABOVE | {"than": "a"}, "", "than: is a, like condition; allowed: any other condition"),
        ({"kind": "best", "condition": "a", "among": ["a"]}, "", "among: must name at least one"),
        ({"kind": "best", "condition": "a", "among": []}, "", "among: must name at least one"),
        ({"kind": "best", "condition": "a", "among": ["b", "b"]}, "among", "twice: b"),
        ({"kind": "equivalent", "conditions": ["a", "b", "a"]}, "conditions", "twice: a"),
        ({"kind": "trend", "direction": "rising", "conditions": ["a", "b", "a"]}, "conditions", "a"),
        (INTERACTION | {"effect": ["a", "a"], "other_effect": ["b", "c"]}, "effect", "twice: a"),
        (INTERACTION | {"other_effect": ["c", "c"]}, "other_effect", "twice: c"),
        (INTERACTION | {"other_effect": ["a", "b"]}, "", "other_effect: has the same two conditions"),
        (INTERACTION | {"other_effect": ["b", "a"]}, "", "other_effect: has the same two conditions"),
        (VALUE | {"relative_to": "a"}, "", "relative_to: is a, like condition"),
        (VALUE | {"value": math.nan}, "value", "finite number"),
        (VALUE | {"tolerance": math.inf}, "tolerance", "finite number"),
        (ABOVE | {"claimed": math.nan}, "claimed", "finite number"),
        (ABOVE | {"claimed": -math.inf}, "claimed", "finite number"),
        (ABOVE | {"smallest_effect": math.inf}, "smallest_effect", "finite number"),
        (
            {"kind": "reaches", "condition": "a", "accuracy": math.nan, "within": 2},
            "accuracy",
            "finite number",
        ),
        (ABOVE | {"metric": "final_val_acuracy"}, "metric", "Did you mean 'final_val_accuracy'?"),
        (ABOVE | {"kind": "abov"}, "", "kind: 'abov': no such kind of claim; allowed: above, best"),
        (ABOVE | {"kind": "abov"}, "", "Did you mean 'above'?"),
        ({"condition": "a"}, "", "kind: is missing; allowed: above, best"),
        (ABOVE | {"kind": ["above"]}, "", "no such kind of claim"),
        (ABOVE | {"kind": None}, "", "no such kind of claim"),
    ],
)
def test_claims_reject(claim: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ValidationError) as failure:
        TypeAdapter[Any](Claim).validate_python({"text": "It is.", **claim})
    (detail,) = failure.value.errors()
    assert reason in detail["msg"]
    assert not field or detail["loc"][-1] == field


@pytest.mark.parametrize(
    ("rates", "claim", "reason"),
    [
        ([0.1], {"kind": "best", "condition": "d0.1"}, "needs at least 2 conditions"),
        ([0.1, 0.2], {"kind": "trend", "direction": "falling"}, "needs at least 3 conditions"),
        ([0.1, 0.2], VALUE | {"condition": "d0.1", "relative_to": ""}, "no condition "),
    ],
)
def test_a_claim_about_all_conditions_needs_enough_of_them(
    baseline: Configuration, rates: list[float], claim: dict[str, Any], reason: str
) -> None:
    asked = experiment(
        factors={"model": {"dropout_rate": rates}},
        condition_name="d{dropout_rate}",
        claims={"mine": {"text": "It is.", **claim}},
    )
    with pytest.raises(ParameterError, match=reason) as failure:
        asked.conditions_of(baseline)
    assert failure.value.key.startswith("claims.mine")
