"""Conditions and trials: what an experiment's parameters come down to."""

from typing import Annotated, Any

from pydantic import Field

from cnn_ablation.base_parameters import ImageShape, Parameters
from cnn_ablation.study.configuration import Configuration

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Condition(Configuration):
    """One fully resolved configuration of an experiment: its trials differ in the seed alone.

    `levels` holds the values of the experiment's factors by dotted setting, such as
    `model.dropout_rate`, parts by their labels; it is empty for named conditions.
    """

    name: str
    levels: dict[str, Any]


class Trial(Parameters):
    """One training of one condition with one seed."""

    condition: Condition
    seed: Seed

    @property
    def name(self) -> str:
        """The condition's name and the seed."""
        return f"{self.condition.name} seed {self.seed}"

    def settings(self) -> dict[str, Any]:
        """Every setting that decides the trial's result, by its dotted name, and the seed."""
        return self.condition.settings() | {"seed": self.seed}

    def relative_cost(self, image_shape: ImageShape) -> float:
        """Cost of training, in no unit: enough to compare trials of one data set."""
        return self.condition.model.relative_cost(image_shape) * self.condition.training.epochs
