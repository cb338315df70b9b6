"""Runs whose settings differ from conf."""

import re
from typing import Any

import pytest

from cnn_ablation.study.variants import LONGEST_NAME, Changes, find_changes, name_variant

CONF: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "pursuit": {"seeds": [5, 10], "minutes": None},
    "evidence": {"level": 0.05},
    "execution": {"precision": "fp32", "workers": None, "scheduler": None},
    "baseline": {"training": {"epochs": 10, "optimizer": {"kind": "adam", "learning_rate": 0.001}}},
    "dropout": {
        "factors": {"model": {"dropout_rate": [0.0, 0.5]}},
        "claims": {"one": {"text": "It helps."}},
    },
}
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+,-]*")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"seeds": 20},
        {"dropout": {"seeds": 5}},
        {"seeds": [7], "pursuit": {"seeds": [2, 3], "minutes": 5.0}},
        {"execution": {"workers": 1, "scheduler": "tcp://host:8786", "tls": {"key": "a"}}},
        {"prediction": {"dark_on_light": True}},
        {"baseline": {"training": {"epochs": 10, "optimizer": {"kind": "adam"}}}},
        {"dropout": {"factors": {"model": {"dropout_rate": [0.0, 0.5]}}, "claims": {}}},
    ],
)
def test_seeds_places_and_values_of_conf_make_no_variant(given: dict[str, Any]) -> None:
    assert find_changes(given, CONF) == {}


@pytest.mark.parametrize(
    ("given", "changes", "label"),
    [
        (
            {"baseline": {"training": {"epochs": 20}}, "seeds": 5},
            {("baseline", "training", "epochs"): 20},
            "baseline.training.epochs=20",
        ),
        (
            {"dropout": {"factors": {"model": {"dropout_rate": [0.1, 0.4]}}, "claims": None}},
            {("dropout", "claims"): None, ("dropout", "factors", "model", "dropout_rate"): [0.1, 0.4]},
            "dropout.claims=null,dropout.factors.model.dropout_rate=0.1-0.4",
        ),
        (
            {"execution": {"precision": "bf16"}},
            {("execution", "precision"): "bf16"},
            "execution.precision=bf16",
        ),
        ({"evidence": {"level": 1e-3}}, {("evidence", "level"): 0.001}, "evidence.level=0.001"),
        (
            {"baseline": {"training": {"optimizer": "sgd"}}},
            {("baseline", "training", "optimizer"): "sgd"},
            "baseline.training.optimizer=sgd",
        ),
        (
            {"dropout": {"title": "../ä {x} $y"}},
            {("dropout", "title"): "../ä {x} $y"},
            "dropout.title=..-x-y",
        ),
    ],
)
def test_a_variant_is_named_after_what_changed(
    given: dict[str, Any], changes: Changes, label: str
) -> None:
    assert find_changes(given, CONF) == changes
    name = name_variant(changes)
    assert re.fullmatch(rf"{re.escape(label)}_[0-9a-f]{{8}}", name)
    assert SAFE.fullmatch(name)


def test_the_name_does_not_depend_on_the_order_of_params() -> None:
    conf = {"a": 0, "b": {"c": 0, "d": 0}}
    one = find_changes({"a": 1, "b": {"c": 2, "d": 3}}, conf)
    other = find_changes({"b": {"d": 3, "c": 2}, "a": 1}, conf)
    assert list(one) == list(other) == [("a",), ("b", "c"), ("b", "d")]
    assert name_variant(one) == name_variant(other)


def test_long_and_similar_changes_have_short_and_different_names() -> None:
    many: Changes = {
        ("dropout", "conditions", letter * 30, "model", "dropout_rate"): 0.5 for letter in "abcdefgh"
    }
    names = {
        name_variant(many),
        name_variant({**many, ("dropout", "figure"): "x"}),
        name_variant({("a",): [0.1, 0.4]}),
        name_variant({("a",): "0.1-0.4"}),
    }
    assert len(names) == 4
    assert all(len(name) <= LONGEST_NAME and SAFE.fullmatch(name) for name in names)
