"""Claims of an experiment: their text, and the comparisons of results that decide them."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from cnn_ablation.base_parameters import Parameters
from cnn_ablation.errors import suggestion

PRIMARY_METRIC = "final_val_accuracy"
"""The metric by which conditions are compared, unless a claim names another one."""

UNITS = {
    PRIMARY_METRIC: "points",
    "best_val_accuracy": "points",
    "final_train_accuracy": "points",
    "overfitting_gap": "points",
    "final_val_loss": "nats",
    "final_train_loss": "nats",
    "val_loss_roughness": "nats",
    "epochs_to_80": "epochs",
    "best_epoch": "epochs",
    "seconds_per_epoch": "s",
    "total_params": "parameters",
}
"""Metrics of a trial that a claim can be about, with the units of their differences."""

SINGLE_CONDITION_KINDS = ("value", "reaches")
"""Kinds of claims about one condition's results rather than about differences between conditions."""

SHORTEST_TREND = 3
"""Smallest number of conditions in a trend."""

Weights = dict[str, float]
"""A comparison of conditions: a weight for each. The weights sum to 0."""


def _known(metric: str) -> str:
    if metric not in UNITS:
        raise ValueError(f"no such metric; allowed: {', '.join(UNITS)}.{suggestion(metric, UNITS)}")
    return metric


def _distinct(conditions: list[str]) -> list[str]:
    repeated = [name for name, count in Counter(conditions).items() if count > 1]
    if repeated:
        raise ValueError(f"names a condition twice: {', '.join(repeated)}; each may be named once")
    return conditions


Metric = Annotated[str, AfterValidator(_known)]
Conditions = Annotated[list[str], AfterValidator(_distinct)]
Source = Literal["hypothesis", "results", "analysis", "conclusion", "overall"]


class _Claim(Parameters):
    text: str = Field(min_length=1, description="The claim in words.")
    source: Source = Field(
        default="hypothesis",
        description="Where the claim is made: in the hypothesis, results, analysis or conclusion of the "
        "experiment, or in the overall findings.",
    )
    metric: Metric = Field(default=PRIMARY_METRIC, description="The metric that the claim is about.")

    @abstractmethod
    def names(self) -> dict[str, list[str]]:
        """Names of the conditions that the claim mentions, by field."""

    def _check_other(self, field: str, other: str | None) -> None:
        """Reject a field that names the claim's own condition."""
        if other == self.names()["condition"][0]:
            raise ValueError(f"{field}: is {other}, like condition; allowed: any other condition")


class _Comparison(_Claim):
    smallest_effect: PositiveFloat | None = Field(
        default=None,
        description="Smallest difference that matters, in the metric's unit; null: "
        "evidence.smallest_effect, which applies to accuracies.",
    )
    claimed: float | None = Field(
        default=None, description="Claimed size, in the metric's unit; for the report only."
    )

    @model_validator(mode="after")
    def _check_smallest_effect(self) -> Self:
        if self.smallest_effect is None and UNITS[self.metric] != "points":
            raise ValueError(
                f"smallest_effect: needed for {self.metric}, in {UNITS[self.metric]}: the default is "
                "for accuracies"
            )
        return self

    @property
    def expects_nothing(self) -> bool:
        """Whether the claim says that the comparisons are 0 rather than positive."""
        return False

    @abstractmethod
    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """Comparisons that must all be positive (or 0, see `expects_nothing`) for the claim to hold."""

    def describe(self, comparison: Weights) -> str:
        """A comparison as text, such as `a − b`."""
        first, second = sorted(comparison, key=lambda name: -comparison[name])
        return f"{first} − {second}"


class Above(_Comparison):
    """One condition's metric is above another's."""

    kind: Literal["above"]
    condition: str = Field(description="The condition with the higher metric.")
    than: str = Field(description="The condition with the lower metric.")

    @model_validator(mode="after")
    def _check_than(self) -> Self:
        self._check_other("than", self.than)
        return self

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition], "than": [self.than]}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        return [{self.condition: 1, self.than: -1}]


class Best(_Comparison):
    """A condition has the highest metric of all conditions or of those named."""

    kind: Literal["best"]
    condition: str = Field(description="The best condition.")
    among: Conditions | None = Field(
        default=None, description="Conditions to compare it with; null: all of the experiment."
    )

    @model_validator(mode="after")
    def _check_among(self) -> Self:
        if self.among is not None and not set(self.among) - {self.condition}:
            raise ValueError(
                "among: must name at least one condition besides condition; null: all of the experiment"
            )
        return self

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition], "among": self.among or []}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        rivals = conditions if self.among is None else self.among
        return [{self.condition: 1, rival: -1} for rival in rivals if rival != self.condition]


class Equivalent(_Comparison):
    """Conditions differ by less than the smallest effect that matters."""

    kind: Literal["equivalent"]
    conditions: Annotated[Conditions, Field(min_length=2)] = Field(description="Two or more conditions.")

    @property
    def expects_nothing(self) -> bool:
        """See base class."""
        return True

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"conditions": self.conditions}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        return [{one: 1, other: -1} for one, other in combinations(self.conditions, 2)]


class Trend(_Comparison):
    """The metric rises or falls from condition to condition.

    The linear trend over the order of the conditions decides, as the change from the first to the last.
    """

    kind: Literal["trend"]
    direction: Literal["rising", "falling"] = Field(
        description="Direction from the first condition to the last."
    )
    conditions: Annotated[Conditions, Field(min_length=SHORTEST_TREND)] | None = Field(
        default=None,
        description="At least three conditions in order; null: all, in the order of the experiment.",
    )

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"conditions": self.conditions or []}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        names = conditions if self.conditions is None else self.conditions
        last = len(names) - 1
        spread = sum((place - last / 2) ** 2 for place in range(len(names)))
        sign = 1 if self.direction == "rising" else -1
        return [{name: sign * last * (place - last / 2) / spread for place, name in enumerate(names)}]

    def describe(self, comparison: Weights) -> str:
        """See base class."""
        first, *_, last = comparison
        change = "rise" if self.direction == "rising" else "fall"
        return f"{change} from {first} to {last} along the linear trend"


class Interaction(_Comparison):
    """One effect is larger than another, or equal to it: a difference of differences."""

    kind: Literal["interaction"]
    effect: Annotated[Conditions, Field(min_length=2, max_length=2)] = Field(
        description="Two conditions: the first minus the second is one effect."
    )
    other_effect: Annotated[Conditions, Field(min_length=2, max_length=2)] = Field(
        description="Two conditions: the first minus the second is the other effect."
    )
    expected: Literal["larger", "equal"] = Field(
        description="Claimed relation of the first effect to the other."
    )

    @model_validator(mode="after")
    def _check_effects(self) -> Self:
        if set(self.effect) == set(self.other_effect):
            raise ValueError(
                "other_effect: has the same two conditions as effect; allowed: any other pair"
            )
        return self

    @property
    def expects_nothing(self) -> bool:
        """See base class."""
        return self.expected == "equal"

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"effect": self.effect, "other_effect": self.other_effect}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        weights: Weights = {}
        for name, weight in zip([*self.effect, *self.other_effect], [1, -1, -1, 1], strict=True):
            weights[name] = weights.get(name, 0) + weight
        return [{name: weight for name, weight in weights.items() if weight}]

    def describe(self, comparison: Weights) -> str:
        """See base class."""
        (one, two), (three, four) = self.effect, self.other_effect
        return f"({one} − {two}) − ({three} − {four})"


class Value(_Claim):
    """A condition's metric, or its ratio to another condition's metric, has a given value."""

    kind: Literal["value"]
    condition: str = Field(description="The condition.")
    relative_to: str | None = Field(
        default=None, description="Condition whose metric is the divisor; null: no ratio."
    )
    value: float = Field(description="Claimed value, in the metric's unit; with relative_to, a ratio.")
    tolerance: PositiveFloat = Field(
        description="Largest deviation that agrees with the claim, in the value's unit."
    )

    @model_validator(mode="after")
    def _check_relative_to(self) -> Self:
        self._check_other("relative_to", self.relative_to)
        return self

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {
            "condition": [self.condition],
            "relative_to": [] if self.relative_to is None else [self.relative_to],
        }


class Reaches(_Claim):
    """The best accuracy of a condition's first epochs, mean over seeds, reaches a given value."""

    kind: Literal["reaches"]
    condition: str = Field(description="The condition.")
    accuracy: Annotated[float, Field(gt=0, lt=100)] = Field(description="Validation accuracy, percent.")
    within: PositiveInt = Field(description="Number of epochs.")

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition]}


_AnyKind = Above | Best | Equivalent | Trend | Interaction | Value | Reaches

KINDS = [get_args(claim.model_fields["kind"].annotation)[0] for claim in get_args(_AnyKind)]
"""Values of `kind`."""


def _known_kind(claim: Any) -> Any:
    if isinstance(claim, Mapping):
        kind = claim.get("kind")
        if kind not in KINDS:
            fault = f"{kind!r}: no such kind of claim" if "kind" in claim else "is missing"
            raise ValueError(
                f"kind: {fault}; allowed: {', '.join(KINDS)}.{suggestion(str(kind), KINDS)}"
            )
    return claim


Claim = Annotated[_AnyKind, Field(discriminator="kind"), BeforeValidator(_known_kind)]
"""Any claim, discriminated by `kind`."""


def unknown_conditions(claim: Claim, conditions: Sequence[str]) -> tuple[str, list[str]] | None:
    """The first field of a claim that names unknown conditions, with their names; or None."""
    for field, names in claim.names().items():
        missing = [name for name in names if name not in conditions]
        if missing:
            return field, missing
    return None


def lacks_conditions(claim: Claim, conditions: Sequence[str]) -> str | None:
    """An error message if an experiment has too few conditions for a claim; None if it has enough."""
    needed = {Best: 2, Trend: SHORTEST_TREND}.get(type(claim), 1)
    if len(conditions) >= needed:
        return None
    return (
        f"a claim of kind {claim.kind} needs at least {needed} conditions, and the experiment has "
        f"{len(conditions)}"
    )


def deciding_conditions(claim: Claim, conditions: Sequence[str]) -> list[str]:
    """The conditions whose results decide a claim."""
    if isinstance(claim, _Comparison):
        mentioned = [name for weights in claim.comparisons(conditions) for name in weights]
    else:
        mentioned = [name for names in claim.names().values() for name in names]
    return list(dict.fromkeys(mentioned))
