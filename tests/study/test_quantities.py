"""Identity of quantities over the experiments of a study."""

import pytest

from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.quantities import Quantity, Weights, identify_configuration

IDENTITIES = {"a": "1", "same_as_a": "1", "b": "2", "c": "3", "d": "4"}


def key(weights: Weights, metric: str = "mean_val_accuracy", **fields: object) -> str:
    return Quantity(metric, weights, **fields).key(IDENTITIES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": -1}, {"b": -1, "a": 1}),
        ({"a": 1, "b": -1}, {"b": 1, "a": -1}),
        ({"a": 1, "b": -1}, {"same_as_a": 1, "b": -1}),
        ({"a": 1, "b": -1, "c": -1, "d": 1}, {"c": 1, "d": -1, "a": -1, "b": 1}),
        ({"a": 1, "b": -2, "same_as_a": 1}, {"a": -2, "b": 2}),
    ],
)
def test_the_same_comparison_has_the_same_key(one: Weights, other: Weights) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    "other",
    [
        key({"a": 1, "c": -1}),
        key({"a": 1}),
        key({"a": 2, "b": -2}),
        key({"a": 1, "b": -1}, "final_val_accuracy"),
        key({"a": 1, "b": -1}, relative=True),
        key({"a": 1}, divisor="b"),
        key({"a": 1}, within=2),
    ],
)
def test_another_quantity_has_another_key(other: str) -> None:
    assert key({"a": 1, "b": -1}) != other


def test_a_quantity_names_all_conditions_that_determine_it() -> None:
    assert Quantity("mean_val_accuracy", {"a": 1}, divisor="b").conditions == ["a", "b"]
    assert Quantity("mean_val_accuracy", {"a": 1, "c": -1}).conditions == ["a", "c"]


def test_configurations_with_the_same_settings_have_the_same_identity(baseline: Configuration) -> None:
    copy = Configuration.model_validate(baseline.model_dump())
    other = copy.model_copy(update={"model": copy.model.model_copy(update={"dropout_rate": 0.123})})
    assert identify_configuration(copy) == identify_configuration(baseline)
    assert identify_configuration(other) != identify_configuration(baseline)
