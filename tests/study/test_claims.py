"""Claims: the quantities that decide them, and what is rejected."""

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cnn_ablation.errors import ParameterError
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from tests.study.test_experiment import experiment

ABOVE = {"kind": "above", "condition": "a", "than": "b"}
VALUE = {"kind": "value", "condition": "a", "value": 1.0, "tolerance": 0.1}
INTERACTION = {"kind": "interaction", "effect": ["a", "b"], "expected": "equal"}
BEST = {"kind": "best", "condition": "a"}
DIFFERENCE = {"kind": "difference", "condition": "a", "than": "b", "claimed": 0.3}
AT_MOST = {"kind": "at_most", "condition": "a", "bound": 1.0}
GAP = {"metric": "generalization_gap"}
TIME = {"metric": "compute_seconds_per_epoch"}


def parse(**fields: Any) -> Claim:
    parsed: Claim = TypeAdapter(Claim).validate_python({"text": "It is.", **fields})
    return parsed


@pytest.mark.parametrize(
    ("claim", "weights"),
    [
        (DIFFERENCE, [{"a": 1, "b": -1}]),
        (AT_MOST, [{"a": 1}]),
        (AT_MOST | {"than": "c"}, [{"a": 1, "c": -1}]),
        (BEST, [{"a": 1, "b": -1}, {"a": 1, "c": -1}, {"a": 1, "d": -1}]),
        (BEST | {"among": ["c"]}, [{"a": 1, "c": -1}]),
        (
            BEST | {"alternatives": ["d"]},
            [{"a": 1, "b": -1}, {"a": 1, "c": -1}, {"d": 1, "b": -1}, {"d": 1, "c": -1}],
        ),
    ],
)
def test_a_claim_is_decided_by_weighted_sums_of_its_conditions(
    claim: dict[str, Any], weights: list[dict[str, float]]
) -> None:
    quantities = parse(**claim).quantities(["a", "b", "c", "d"])
    assert [quantity.weights for quantity in quantities] == weights
    assert {quantity.metric for quantity in quantities} == {"mean_val_accuracy"}


@pytest.mark.parametrize(
    ("claim", "region", "unit"),
    [
        (DIFFERENCE, (0.3 - 0.2, 0.3 + 0.2), "points"),
        (DIFFERENCE | {"smallest_effect": 0.1}, (0.3 - 0.1, 0.3 + 0.1), "points"),
        (DIFFERENCE | {"tolerance": 0.05}, (0.3 - 0.05, 0.3 + 0.05), "points"),
        (DIFFERENCE | TIME | {"relative": True, "tolerance": 0.1}, (0.3 - 0.1, 0.3 + 0.1), "%"),
        (AT_MOST, (-math.inf, 1.0), "%"),
        (AT_MOST | {"than": "b"}, (-math.inf, 1.0), "points"),
        (AT_MOST | TIME | {"relative_to": "b"}, (-math.inf, 1.0), "ratio"),
    ],
)
def test_a_claimed_size_or_bound_is_a_region(
    claim: dict[str, Any], region: tuple[float, float], unit: str
) -> None:
    parsed = parse(**claim)
    assert parsed.region(parsed.tolerance_of(0.2)) == pytest.approx(region)
    assert parsed.unit == unit


@pytest.mark.parametrize(
    ("claim", "field", "reason"),
    [
        (
            ABOVE | {"than": "a"},
            "",
            "than: names a, which is also `condition`; allowed: any other condition",
        ),
        ({"kind": "best", "condition": "a", "among": ["a"]}, "", "among: must name at least one"),
        ({"kind": "best", "condition": "a", "among": []}, "", "among: must name at least one"),
        ({"kind": "best", "condition": "a", "among": ["b", "b"]}, "among", "twice: b"),
        ({"kind": "equivalent", "conditions": ["a", "b", "a"]}, "conditions", "twice: a"),
        ({"kind": "trend", "direction": "rising", "conditions": ["a", "b", "a"]}, "conditions", "a"),
        (INTERACTION | {"effect": ["a", "a"], "other_effect": ["b", "c"]}, "effect", "twice: a"),
        (INTERACTION | {"other_effect": ["c", "c"]}, "other_effect", "twice: c"),
        (INTERACTION | {"other_effect": ["a", "b"]}, "", "other_effect: has the same two conditions"),
        (INTERACTION | {"other_effect": ["b", "a"]}, "", "other_effect: has the same two conditions"),
        (VALUE | {"relative_to": "a"}, "", "relative_to: names a, which is also `condition`"),
        (BEST | {"alternatives": ["a"]}, "", "alternatives: contains a, which is also `condition`"),
        (BEST | {"alternatives": ["b", "b"]}, "alternatives", "twice: b"),
        (BEST | {"alternatives": ["b"], "among": ["a", "b"]}, "", "among: must name at least one"),
        (DIFFERENCE | {"than": "a"}, "", "than: names a, which is also `condition`"),
        (DIFFERENCE | {"claimed": math.nan}, "claimed", "finite number"),
        (DIFFERENCE | {"claimed": math.inf}, "claimed", "finite number"),
        (DIFFERENCE | {"tolerance": 0}, "tolerance", "greater than 0"),
        (DIFFERENCE | {"tolerance": math.inf}, "tolerance", "finite number"),
        (DIFFERENCE | {"smallest_effect": 0}, "smallest_effect", "greater than 0"),
        (DIFFERENCE | TIME, "", "tolerance: needed for compute_seconds_per_epoch, in s"),
        (
            DIFFERENCE | {"tolerance": 0.1, "smallest_effect": 0.1},
            "",
            "smallest_effect: cannot be combined with tolerance",
        ),
        (
            INTERACTION | {"other_effect": ["c", "b"], "relative_to": "b"},
            "",
            "smallest_effect: needed for mean_val_accuracy, as a ratio",
        ),
        (DIFFERENCE | GAP | {"relative": True}, "", "relative: generalization_gap can be 0 or negative"),
        (AT_MOST | {"than": "a"}, "", "than: names a, which is also `condition`"),
        (AT_MOST | {"bound": math.inf}, "bound", "finite number"),
        (AT_MOST | {"bound": math.nan}, "bound", "finite number"),
        (AT_MOST | {"relative_to": "b", "than": "c"}, "", "than: cannot be combined with relative_to"),
        (AT_MOST | GAP | {"relative_to": "b"}, "", "relative_to: generalization_gap can be 0"),
        (
            INTERACTION
            | {
                "other_effect": ["c", "b"],
                "relative_to": "b",
                "relative": True,
                "smallest_effect": 1,
            },
            "",
            "relative_to: cannot be combined with relative",
        ),
        (VALUE | {"tolerance": 0}, "tolerance", "greater than 0"),
        (VALUE | {"value": math.inf}, "value", "finite number"),
        (ABOVE | {"smallest_effect": 0}, "smallest_effect", "greater than 0"),
        (ABOVE | {"metric": "mean_val_loss"}, "", "smallest_effect: needed for mean_val_loss, in nats"),
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
        (
            {
                "kind": "reaches",
                "condition": "a",
                "accuracy": 80,
                "within": 2,
                "metric": "mean_val_loss",
            },
            "",
            "unknown key 'metric'",
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
        (
            [0.1, 0.2],
            {"kind": "best", "condition": "d0.1", "alternatives": ["d0.2"]},
            "needs at least 3 conditions",
        ),
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


def with_equal_conditions(claim: dict[str, Any]) -> ExperimentParameters:
    """An experiment with a claim, in which `baseline` and `half` have the same settings."""
    return experiment(
        conditions={
            "baseline": {},
            "half": {"model": {"dropout_rate": 0.5}},
            "none": {"model": {"dropout_rate": 0.0}},
        },
        claims={"mine": {"text": "It is.", **claim}},
    )


@pytest.mark.parametrize(
    ("claim", "field"),
    [
        ({"kind": "above", "condition": "half", "than": "baseline"}, "than"),
        ({"kind": "difference", "condition": "half", "than": "baseline", "claimed": 1.0}, "than"),
        ({"kind": "at_most", "condition": "half", "than": "baseline", "bound": 1.0}, "than"),
        (VALUE | {"condition": "half", "relative_to": "baseline"}, "relative_to"),
        ({"kind": "best", "condition": "half"}, "condition"),
        ({"kind": "best", "condition": "half", "among": ["none", "baseline"]}, "among"),
        ({"kind": "equivalent", "conditions": ["none", "half", "baseline"]}, "conditions"),
        (
            {"kind": "trend", "direction": "rising", "conditions": ["half", "none", "baseline"]},
            "conditions",
        ),
        (
            {
                "kind": "interaction",
                "effect": ["half", "none"],
                "other_effect": ["baseline", "none"],
                "expected": "equal",
            },
            "other_effect",
        ),
    ],
)
def test_conditions_with_the_same_settings_cannot_be_compared(
    baseline: Configuration, claim: dict[str, Any], field: str
) -> None:
    asked = with_equal_conditions(claim)
    with pytest.raises(ParameterError) as failure:
        asked.conditions_of(baseline)
    assert failure.value.key == f"claims.mine.{field}"
    assert "have the same settings" in failure.value.reason
    assert {"half", "baseline"} <= set(failure.value.reason.replace(",", "").split())
    assert "none" not in failure.value.reason.split(" have ")[0]


@pytest.mark.parametrize(
    "claim",
    [
        {"kind": "best", "condition": "none", "among": ["half", "baseline"]},
        {"kind": "best", "condition": "half", "alternatives": ["baseline"]},
        VALUE | {"condition": "half"},
        {
            "kind": "interaction",
            "effect": ["half", "none"],
            "other_effect": ["none", "baseline"],
            "expected": "larger",
        },
    ],
)
def test_conditions_with_the_same_settings_may_both_be_compared_with_a_third(
    baseline: Configuration, claim: dict[str, Any]
) -> None:
    asked = with_equal_conditions(claim)
    assert len(asked.conditions_of(baseline)) == 3


@pytest.mark.parametrize("source", ["hypothesis", "overall", "Zhong et al., 2020", "course22p2, 2022"])
def test_a_source_is_a_part_of_the_report_or_a_publication(source: str) -> None:
    assert parse(**ABOVE, source=source).source == source


def test_another_source_is_an_error() -> None:
    with pytest.raises(ValidationError, match="or a publication with its year") as failure:
        parse(**ABOVE, source="analisys")
    assert "Did you mean 'analysis'?" in str(failure.value)
