"""Claims of an experiment: their text, and the comparisons of results that decide them."""

import math
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveInt,
    model_validator,
)

from cnn_ablation.base_parameters import Parameters
from cnn_ablation.errors import suggestion
from cnn_ablation.study.quantities import PRIMARY_METRIC, SIGNED, UNITS, Quantity, Weights

SHORTEST_TREND = 3
"""Smallest number of conditions in a trend."""

POSITIVE = (float(np.nextafter(0, 1)), math.inf)
"""Region of positive numbers, without 0."""

Verdict = Literal["supported", "among the best", "equivalent", "contradicted", "undecided"]
"""The possible verdicts on a claim."""

Region = tuple[float, float]
"""The numbers from the first to the second, both included."""


def _known(metric: str) -> str:
    if metric not in UNITS:
        raise ValueError(f"no such metric; allowed: {', '.join(UNITS)}.{suggestion(metric, UNITS)}")
    return metric


def _distinct(conditions: list[str]) -> list[str]:
    repeated = [name for name, count in Counter(conditions).items() if count > 1]
    if repeated:
        raise ValueError(f"names a condition twice: {', '.join(repeated)}; each may be named once")
    return conditions


PLACES = ("hypothesis", "results", "analysis", "conclusion", "overall")
"""Parts of a report in which a claim can be made."""


def _place_or_reference(source: str) -> str:
    if source not in PLACES and not re.search(r"\b\d{4}\b", source):
        raise ValueError(
            f"{source!r}: allowed: {', '.join(PLACES)}, or a publication with its year, such as "
            f"He et al., 2016.{suggestion(source, PLACES)}"
        )
    return source


LARGEST = 1e15
"""Largest number in a claim: far beyond it, axes and sums of squares exceed what a float can hold."""


def _moderate(number: float) -> float:
    if abs(number) > LARGEST:
        raise ValueError(f"must be at most {LARGEST:g}, and at least {-LARGEST:g}")
    return number


Finite = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_moderate)]
PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_moderate)]
Metric = Annotated[str, AfterValidator(_known)]
Conditions = Annotated[list[str], AfterValidator(_distinct)]
Source = Annotated[str, AfterValidator(_place_or_reference)]


class _Claim(Parameters):
    text: str = Field(min_length=1, description="The claim in words.")
    source: Source = Field(
        default="hypothesis",
        description="Where the claim is made: hypothesis, results, analysis or conclusion of the "
        "experiment, or overall findings; or a publication with its year, such as `He et al., 2016`.",
    )

    @abstractmethod
    def names(self) -> dict[str, list[str]]:
        """Names of the conditions that the claim mentions, by field."""

    @abstractmethod
    def quantities(self, conditions: Sequence[str]) -> list[Quantity]:
        """The quantities that decide the claim.

        Args:
            conditions: All conditions of the experiment, in order.
        """

    @abstractmethod
    def region(self, margin: float) -> Region:
        """The region in which all quantities of a group lie if the claim holds.

        Args:
            margin: Smallest effect that matters, in the unit of the quantities.
        """

    @property
    def groups(self) -> int:
        """Number of equally large groups of quantities.

        The claim holds if all quantities of any group lie in the region.
        """
        return 1

    @property
    def fewest_conditions(self) -> int:
        """Number of conditions that an experiment with such a claim needs."""
        return 1

    def indifference(self, margin: float) -> tuple[Region, Verdict] | None:
        """A region in which quantities do not matter, and the verdict if all of a group lie in it."""
        return None

    @property
    def indifference_first(self) -> bool:
        """Whether the verdict of indifference takes precedence over `supported`."""
        return True

    @abstractmethod
    def describe(self, quantity: Quantity) -> str:
        """A quantity as text, such as `a − b`."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """Unit of the quantities."""

    @property
    def claimed_value(self) -> float | None:
        """The claimed number, if there is one, in the unit of the quantities."""
        return None

    def tolerance_of(self, smallest_effect: float) -> float:
        """The margin that applies to the claim, in the unit of the quantities.

        Args:
            smallest_effect: Smallest difference of accuracy that matters, points.
        """
        return 0.0

    def _check_other(self, field: str, other: str | None) -> None:
        """Reject a field that names the claim's own condition."""
        if other == self.names()["condition"][0]:
            raise ValueError(
                f"{field}: names {other}, which is also `condition`; allowed: any other condition"
            )


class _MetricClaim(_Claim):
    metric: Metric = Field(default=PRIMARY_METRIC, description="The metric that the claim is about.")

    def _check_ratio(self, field: str) -> None:
        if self.metric in SIGNED:
            raise ValueError(
                f"{field}: {self.metric} can be 0 or negative, so that it has no ratios; allowed: "
                "any other metric"
            )


class _Comparison(_MetricClaim):
    margin_field: ClassVar[str] = "smallest_effect"
    """The field for a margin other than the default."""

    smallest_effect: PositiveFinite | None = Field(
        default=None,
        description="Smallest difference that matters, in the metric's unit; in percent if relative. "
        "null: evidence.smallest_effect, which applies to accuracies.",
    )
    claimed: Finite | None = Field(
        default=None, description="Claimed size, in the same unit; for the report only."
    )
    relative: bool = Field(
        default=False,
        description="Whether conditions are compared by the ratio of their metrics instead of by the "
        "difference. Sizes are then in percent.",
    )

    @model_validator(mode="after")
    def _check_smallest_effect(self) -> Self:
        if self.relative:
            self._check_ratio("relative")
        if math.isnan(self.tolerance_of(math.nan)) and self.unit != "points":
            unit = "as a ratio" if self.unit == "ratio" else f"in {self.unit}"
            raise ValueError(
                f"{self.margin_field}: needed for {self.metric}, {unit}: the default is for accuracies"
            )
        return self

    @abstractmethod
    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """Weights of the conditions in each of the quantities."""

    def quantities(self, conditions: Sequence[str]) -> list[Quantity]:
        """See base class."""
        return [
            Quantity(self.metric, weights, self.relative) for weights in self.comparisons(conditions)
        ]

    def region(self, margin: float) -> Region:
        """See base class."""
        return POSITIVE

    def indifference(self, margin: float) -> tuple[Region, Verdict] | None:
        """See base class."""
        return self._negligible(margin), "equivalent"

    def _negligible(self, margin: float) -> Region:
        """Differences that do not matter, whichever of two conditions is named first.

        A ratio is negligible if its inverse is: an increase by 25 % is undone by a decrease by 20 %.
        """
        return (-margin / (1 + margin / 100) if self.relative else -margin, margin)

    @property
    def unit(self) -> str:
        """See base class."""
        return "%" if self.relative else UNITS[self.metric]

    @property
    def claimed_value(self) -> float | None:
        """See base class."""
        return self.claimed

    def tolerance_of(self, smallest_effect: float) -> float:
        """See base class."""
        return smallest_effect if self.smallest_effect is None else self.smallest_effect

    def describe(self, quantity: Quantity) -> str:
        """See base class."""
        first, second = sorted(quantity.weights, key=lambda name: -quantity.weights[name])
        return f"{first} / {second}" if self.relative else f"{first} − {second}"


class _Pair(_Comparison):
    """A comparison of two conditions."""

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


class Above(_Pair):
    """One condition's metric is above another's."""

    kind: Literal["above"]


class Best(_Comparison):
    """A condition has the highest metric of all conditions or of those named.

    It is `among the best` if no rival is better by the smallest effect that matters. With
    `alternatives`, the claim is about a range of settings: any of its conditions may be the best.
    """

    kind: Literal["best"]
    condition: str = Field(description="The best condition.")
    alternatives: Conditions = Field(
        default=[],
        description="Conditions of which any may be the best instead. They and condition are not "
        "compared with each other.",
    )
    among: Conditions | None = Field(
        default=None, description="Conditions to compare it with; null: all of the experiment."
    )

    @model_validator(mode="after")
    def _check_conditions(self) -> Self:
        if self.condition in self.alternatives:
            raise ValueError(
                f"alternatives: contains {self.condition}, which is also `condition`; allowed: any "
                "other condition"
            )
        if self.among is not None and not set(self.among) - set(self._candidates):
            raise ValueError(
                "among: must name at least one condition besides condition and alternatives; null: all "
                "of the experiment"
            )
        return self

    @property
    def _candidates(self) -> list[str]:
        return [self.condition, *self.alternatives]

    @property
    def groups(self) -> int:
        """See base class."""
        return len(self._candidates)

    @property
    def fewest_conditions(self) -> int:
        """See base class."""
        return self.groups + 1

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {
            "condition": [self.condition],
            "alternatives": self.alternatives,
            "among": self.among or [],
        }

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        candidates = self._candidates
        names = conditions if self.among is None else self.among
        rivals = [name for name in names if name not in candidates]
        return [{candidate: 1, rival: -1} for candidate in candidates for rival in rivals]

    def indifference(self, margin: float) -> tuple[Region, Verdict] | None:
        """See base class."""
        return (self._negligible(margin)[0], math.inf), "among the best"

    @property
    def indifference_first(self) -> bool:
        """See base class."""
        return False


class Equivalent(_Comparison):
    """Conditions differ by less than the smallest effect that matters."""

    kind: Literal["equivalent"]
    conditions: Annotated[Conditions, Field(min_length=2)] = Field(description="Two or more conditions.")

    def region(self, margin: float) -> Region:
        """See base class."""
        return self._negligible(margin)

    def indifference(self, margin: float) -> tuple[Region, Verdict] | None:
        """See base class."""
        return None

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

    @property
    def fewest_conditions(self) -> int:
        """See base class."""
        return SHORTEST_TREND

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

    def describe(self, quantity: Quantity) -> str:
        """See base class."""
        first, *_, last = quantity.weights
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
    relative_to: str | None = Field(
        default=None,
        description="Condition by whose metric the difference of the effects is divided. Sizes are then "
        "ratios. null: no ratio.",
    )

    @model_validator(mode="after")
    def _check_effects(self) -> Self:
        if set(self.effect) == set(self.other_effect):
            raise ValueError(
                "other_effect: has the same two conditions as effect; allowed: any other pair"
            )
        if self.relative_to is not None:
            self._check_ratio("relative_to")
            if self.relative:
                raise ValueError("relative_to: cannot be combined with relative; leave one of them out")
        return self

    @property
    def unit(self) -> str:
        """See base class."""
        return super().unit if self.relative_to is None else "ratio"

    def quantities(self, conditions: Sequence[str]) -> list[Quantity]:
        """See base class."""
        return [
            quantity._replace(divisor=self.relative_to) for quantity in super().quantities(conditions)
        ]

    def region(self, margin: float) -> Region:
        """See base class."""
        return self._negligible(margin) if self.expected == "equal" else POSITIVE

    def indifference(self, margin: float) -> tuple[Region, Verdict] | None:
        """See base class."""
        return None if self.expected == "equal" else super().indifference(margin)

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        divisor = [] if self.relative_to is None else [self.relative_to]
        return {"effect": self.effect, "other_effect": self.other_effect, "relative_to": divisor}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        weights: Weights = {}
        for name, weight in zip([*self.effect, *self.other_effect], [1, -1, -1, 1], strict=True):
            weights[name] = weights.get(name, 0) + weight
        return [{name: weight for name, weight in weights.items() if weight}]

    def describe(self, quantity: Quantity) -> str:
        """See base class."""
        (one, two), (three, four) = self.effect, self.other_effect
        difference = f"({one} − {two}) − ({three} − {four})"
        return difference if self.relative_to is None else f"({difference}) / {self.relative_to}"


class Difference(_Pair):
    """One condition's metric is above another's by a claimed size."""

    margin_field: ClassVar[str] = "tolerance"

    kind: Literal["difference"]
    claimed: Finite = Field(
        description="Claimed difference, in the metric's unit or, if relative, in percent."
    )
    tolerance: PositiveFinite | None = Field(
        default=None,
        description="Largest deviation that agrees with the claim, in the same unit; null: the smallest "
        "effect that matters.",
    )

    @model_validator(mode="after")
    def _check_margins(self) -> Self:
        if self.tolerance is not None and self.smallest_effect is not None:
            raise ValueError("smallest_effect: cannot be combined with tolerance; leave one of them out")
        return self

    def region(self, margin: float) -> Region:
        """See base class."""
        return (self.claimed - margin, self.claimed + margin)

    def indifference(self, margin: float) -> tuple[Region, Verdict] | None:
        """See base class."""
        return None

    def tolerance_of(self, smallest_effect: float) -> float:
        """See base class."""
        return super().tolerance_of(smallest_effect) if self.tolerance is None else self.tolerance


class _Measured(_MetricClaim):
    """A claim about a condition's metric, or about its ratio to another condition's metric."""

    condition: str = Field(description="The condition.")
    relative_to: str | None = Field(
        default=None, description="Condition whose metric is the divisor; null: no ratio."
    )

    @model_validator(mode="after")
    def _check_relative_to(self) -> Self:
        self._check_other("relative_to", self.relative_to)
        if self.relative_to is not None:
            self._check_ratio("relative_to")
        return self

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {
            "condition": [self.condition],
            "relative_to": [] if self.relative_to is None else [self.relative_to],
        }

    def quantities(self, conditions: Sequence[str]) -> list[Quantity]:
        """See base class."""
        return [Quantity(self.metric, {self.condition: 1.0}, divisor=self.relative_to)]

    def describe(self, quantity: Quantity) -> str:
        """See base class."""
        return self.condition if self.relative_to is None else f"{self.condition} / {self.relative_to}"

    @property
    def unit(self) -> str:
        """See base class."""
        if self.relative_to is not None:
            return "ratio"
        return "%" if self.metric.endswith("accuracy") else UNITS[self.metric]


class Value(_Measured):
    """A condition's metric, or its ratio to another condition's metric, has a given value."""

    kind: Literal["value"]
    value: Finite = Field(description="Claimed value, in the metric's unit; with relative_to, a ratio.")
    tolerance: PositiveFinite = Field(
        description="Largest deviation that agrees with the claim, in the value's unit."
    )

    def region(self, margin: float) -> Region:
        """See base class."""
        return (self.value - margin, self.value + margin)

    @property
    def claimed_value(self) -> float | None:
        """See base class."""
        return self.value

    def tolerance_of(self, smallest_effect: float) -> float:
        """See base class."""
        return self.tolerance


class _Bounded(_Measured):
    """A metric, a ratio, or a difference of two conditions is on one side of a given number."""

    than: str | None = Field(
        default=None,
        description="Condition whose metric is subtracted; null: no difference.",
    )
    bound: Finite = Field(
        description="The number, which agrees with the claim, in the metric's unit; with relative_to, a "
        "ratio."
    )

    @model_validator(mode="after")
    def _check_than(self) -> Self:
        self._check_other("than", self.than)
        if self.than is not None and self.relative_to is not None:
            raise ValueError("than: cannot be combined with relative_to; leave one of them out")
        return self

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return super().names() | {"than": [] if self.than is None else [self.than]}

    def quantities(self, conditions: Sequence[str]) -> list[Quantity]:
        """See base class."""
        if self.than is None:
            return super().quantities(conditions)
        return [Quantity(self.metric, {self.condition: 1.0, self.than: -1.0})]

    def describe(self, quantity: Quantity) -> str:
        """See base class."""
        return super().describe(quantity) if self.than is None else f"{self.condition} − {self.than}"

    @property
    def unit(self) -> str:
        """See base class."""
        return super().unit if self.than is None else UNITS[self.metric]

    @property
    def claimed_value(self) -> float | None:
        """See base class."""
        return self.bound


class AtMost(_Bounded):
    """A metric, a ratio, or a difference of two conditions is at most a given number."""

    kind: Literal["at_most"]

    def region(self, margin: float) -> Region:
        """See base class."""
        return (-math.inf, self.bound)


class AtLeast(_Bounded):
    """A metric, a ratio, or a difference of two conditions is at least a given number."""

    kind: Literal["at_least"]

    def region(self, margin: float) -> Region:
        """See base class."""
        return (self.bound, math.inf)


class Reaches(_Claim):
    """The best accuracy of a condition's first epochs, mean over seeds, reaches a given value."""

    kind: Literal["reaches"]
    metric: ClassVar[str] = "best_val_accuracy"
    condition: str = Field(description="The condition.")
    accuracy: Annotated[float, Field(gt=0, lt=100)] = Field(description="Validation accuracy, percent.")
    within: PositiveInt = Field(description="Number of epochs.")

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition]}

    def quantities(self, conditions: Sequence[str]) -> list[Quantity]:
        """See base class."""
        return [Quantity(self.metric, {self.condition: 1.0}, within=self.within)]

    def describe(self, quantity: Quantity) -> str:
        """See base class."""
        return f"best of {self.condition}'s first {self.within} epochs"

    @property
    def unit(self) -> str:
        """See base class."""
        return "%"

    @property
    def claimed_value(self) -> float | None:
        """See base class."""
        return self.accuracy

    def region(self, margin: float) -> Region:
        """See base class."""
        return (self.accuracy, math.inf)


_AnyKind = (
    Above | Best | Equivalent | Trend | Interaction | Difference | AtMost | AtLeast | Value | Reaches
)

KINDS = [get_args(claim.model_fields["kind"].annotation)[0] for claim in get_args(_AnyKind)]
"""Values of `kind`."""


def _known_kind(claim: Any) -> Any:
    if isinstance(claim, _Claim):
        return claim
    if not isinstance(claim, Mapping):
        raise ValueError("needs a mapping with text, kind and the other keys of this kind of claim")
    kind = claim.get("kind")
    if kind not in KINDS:
        fault = f"{kind!r}: no such kind of claim" if "kind" in claim else "is missing"
        raise ValueError(f"kind: {fault}; allowed: {', '.join(KINDS)}.{suggestion(str(kind), KINDS)}")
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
    if len(conditions) >= claim.fewest_conditions:
        return None
    return (
        f"a claim of kind {claim.kind} needs at least {claim.fewest_conditions} conditions, and the "
        f"experiment has {len(conditions)}"
    )


def same_settings(claim: Claim, identities: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """The last field of a claim that names conditions which cannot differ, with these; or None.

    Args:
        claim: The claim.
        identities: Identity of each condition of the experiment; see `identify_configuration`.
    """
    for quantity in claim.quantities(list(identities)):
        if quantity.is_trivial(identities):
            shared = Counter(identities[name] for name in dict.fromkeys(quantity.conditions))
            same = [name for name in quantity.conditions if shared[identities[name]] > 1]
            fields = [field for field, names in claim.names().items() if set(names) & set(same)]
            return fields[-1], list(dict.fromkeys(same))
    return None


def deciding_conditions(claim: Claim, conditions: Sequence[str]) -> list[str]:
    """The conditions whose results decide a claim."""
    mentioned = [name for quantity in claim.quantities(conditions) for name in quantity.conditions]
    return list(dict.fromkeys(mentioned))
