"""What an experiment claims: the words, and what of its results decides them."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from cnn_ablation.schema import Parameters

PRIMARY_METRIC = "final_val_accuracy"
"""What conditions are compared by, unless a claim says otherwise."""

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
"""Metrics of a trial that a claim can be about, with the unit of their differences."""

OF_ONE = ("value", "reaches")
"""Kinds of claims that are about one condition's own results, not about differences."""

Weights = dict[str, float]
"""A comparison: a weight per condition."""


def _known(metric: str) -> str:
    if metric not in UNITS:
        raise ValueError(f"no such metric; allowed: {', '.join(UNITS)}")
    return metric


Metric = Annotated[str, AfterValidator(_known)]
Source = Literal["hypothesis", "results", "analysis", "conclusion", "overall"]


class _Claim(Parameters):
    text: str = Field(min_length=1, description="The claim in words.")
    source: Source = Field(
        default="hypothesis",
        description="Where it stands: in the hypothesis, results, analysis or conclusion of the "
        "experiment, or in the overall findings.",
    )
    metric: Metric = Field(default=PRIMARY_METRIC, description="What it is about.")

    @abstractmethod
    def names(self) -> dict[str, list[str]]:
        """Names of conditions that the claim mentions, by the field that does."""


class _Comparison(_Claim):
    smallest_effect: PositiveFloat | None = Field(
        default=None,
        description="Differences below it do not matter, in the metric's unit; null: "
        "evidence.smallest_effect, which is for accuracies.",
    )
    claimed: float | None = Field(
        default=None, description="Size that is claimed, in the metric's unit; it stands in the report."
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
        """Whether it says that the comparisons are 0; else that they are positive."""
        return False

    @abstractmethod
    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """What is to be positive, or zero, for the claim to hold: each of these."""

    def describe(self, comparison: Weights) -> str:
        """A comparison in symbols."""
        first, second = sorted(comparison, key=lambda name: -comparison[name])
        return f"{first} − {second}"


class Above(_Comparison):
    """One condition's metric is above another's."""

    kind: Literal["above"]
    condition: str = Field(description="The condition with more.")
    than: str = Field(description="The condition with less.")

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition], "than": [self.than]}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        return [{self.condition: 1, self.than: -1}]


class Best(_Comparison):
    """A condition has the highest metric of all, or of those named."""

    kind: Literal["best"]
    condition: str = Field(description="The best condition.")
    among: list[str] | None = Field(
        default=None, description="Its competitors; null: all conditions of the experiment."
    )

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition], "among": self.among or []}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        rivals = self.among or conditions
        return [{self.condition: 1, rival: -1} for rival in rivals if rival != self.condition]


class Equivalent(_Comparison):
    """Conditions do not differ by as much as matters."""

    kind: Literal["equivalent"]
    conditions: Annotated[list[str], Field(min_length=2)] = Field(description="Two or more conditions.")

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
    """The metric rises, or falls, from condition to condition.

    Judged by the linear trend over their order, as the change from the first to the last along it.
    """

    kind: Literal["trend"]
    direction: Literal["rising", "falling"] = Field(description="From the first condition on.")
    conditions: Annotated[list[str], Field(min_length=3)] | None = Field(
        default=None, description="In order, at least three; null: all, in the experiment's order."
    )

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"conditions": self.conditions or []}

    def comparisons(self, conditions: Sequence[str]) -> list[Weights]:
        """See base class."""
        names = self.conditions or conditions
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
    """One effect is larger than another, or as large: a difference of differences."""

    kind: Literal["interaction"]
    effect: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(
        description="Two conditions: the first minus the second is one effect."
    )
    other_effect: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(
        description="Two conditions: the first minus the second is the other effect."
    )
    expected: Literal["larger", "equal"] = Field(description="What the first effect is claimed to be.")

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
    """A condition's metric, or its ratio to another condition's, has a value."""

    kind: Literal["value"]
    condition: str = Field(description="The condition.")
    relative_to: str | None = Field(default=None, description="Divide by this condition's metric.")
    value: float = Field(description="Claimed value, in the metric's unit; a ratio with relative_to.")
    tolerance: PositiveFloat = Field(description="How far off it may be, in the value's unit.")

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {
            "condition": [self.condition],
            "relative_to": [self.relative_to] if self.relative_to else [],
        }


class Reaches(_Claim):
    """A condition reaches an accuracy within so many epochs: the best of them, mean over seeds."""

    kind: Literal["reaches"]
    condition: str = Field(description="The condition.")
    accuracy: Annotated[float, Field(gt=0, lt=100)] = Field(description="Validation accuracy, percent.")
    within: PositiveInt = Field(description="Epochs.")

    def names(self) -> dict[str, list[str]]:
        """See base class."""
        return {"condition": [self.condition]}


Claim = Annotated[
    Above | Best | Equivalent | Trend | Interaction | Value | Reaches, Field(discriminator="kind")
]
"""Any claim; its `kind` says which."""


def misnamed(claim: Claim, conditions: Sequence[str]) -> tuple[str, list[str]] | None:
    """The first field of a claim that names conditions that are not there, and those names."""
    for field, names in claim.names().items():
        missing = [name for name in names if name not in conditions]
        if missing:
            return field, missing
    return None


def concerned(claim: Claim, conditions: Sequence[str]) -> list[str]:
    """The conditions that decide a claim."""
    if isinstance(claim, _Comparison):
        mentioned = [name for weights in claim.comparisons(conditions) for name in weights]
    else:
        mentioned = [name for names in claim.names().values() for name in names]
    return list(dict.fromkeys(mentioned))
