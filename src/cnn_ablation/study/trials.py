"""Conditions and trials, to which an experiment's parameters are expanded."""

from collections.abc import Iterable
from typing import Any

from cnn_ablation.base_parameters import ImageShape, Parameters, Seed
from cnn_ablation.study.configuration import Configuration


class Condition(Configuration):
    """A fully resolved configuration of an experiment. Its trials differ only in the seed.

    `levels` holds the level of each factor by its dotted setting, such as `model.dropout_rate`. A part
    is given by its label. `levels` is empty for named conditions.
    """

    name: str
    levels: dict[str, Any]


class Trial(Parameters):
    """One training of a condition with a seed."""

    condition: Condition
    seed: Seed

    @property
    def name(self) -> str:
        """The condition's name and the seed."""
        return f"{self.condition.name} seed {self.seed}"

    def settings(self) -> dict[str, Any]:
        """Every setting of the trial by its dotted name, and the seed."""
        return self.condition.settings() | {"seed": self.seed}

    def relative_cost(self, image_shape: ImageShape) -> float:
        """Cost of training, without unit, for comparing trials on the same data."""
        return self.condition.model.relative_cost(image_shape) * self.condition.training.epochs


def conditions_by_name(trials: Iterable[Trial]) -> dict[str, Condition]:
    """The conditions of trials, in the order in which they first appear."""
    return {trial.condition.name: trial.condition for trial in trials}
