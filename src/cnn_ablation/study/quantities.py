"""Quantities that claims are about: a metric of conditions, or a comparison of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from cnn_ablation.study.configuration import Configuration

PRIMARY_METRIC = "mean_val_accuracy"
"""The metric by which conditions are compared, unless a claim names another one."""

UNITS = {
    PRIMARY_METRIC: "points",
    "final_val_accuracy": "points",
    "best_val_accuracy": "points",
    "first_val_accuracy": "points",
    "eval_train_accuracy": "points",
    "final_train_accuracy": "points",
    "generalization_gap": "points",
    "overfitting_gap": "points",
    "val_accuracy_spread": "points",
    "mean_val_loss": "nats",
    "final_val_loss": "nats",
    "eval_train_loss": "nats",
    "final_train_loss": "nats",
    "val_loss_roughness": "nats",
    "epochs_to_80": "epochs",
    "epochs_to_90": "epochs",
    "best_epoch": "epochs",
    "seconds_per_epoch": "s",
    "compute_seconds_per_epoch": "s",
    "inference_us": "µs",
    "total_params": "parameters",
    "activation_kib": "KiB",
}
"""Metrics of a trial that a claim can be about, with the units of their differences."""

SIGNED = ("generalization_gap", "overfitting_gap")
"""Metrics that can be 0 or negative, so that no ratio of them can be formed."""

Weights = dict[str, float]
"""A weight for each condition. Those of a comparison sum to 0."""


class Quantity(NamedTuple):
    """A number that is measured for each seed.

    Args:
        metric: A key of `UNITS`.
        weights: The quantity is the sum of the conditions' metrics with these weights.
        relative: Whether the logarithm of the metric takes its place, so that differences are ratios.
        divisor: Condition by whose metric the sum is divided, or None.
        within: If given, the best validation accuracy of this many first epochs is the metric.
    """

    metric: str
    weights: Weights
    relative: bool = False
    divisor: str | None = None
    within: int | None = None

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions whose results determine the quantity."""
        return [*self.weights, *([self.divisor] if self.divisor is not None else [])]

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a weighted sum of the primary metric, for which hits by image are stored."""
        return self.metric == PRIMARY_METRIC and not self.relative and self.divisor is None

    def key(self, identities: Mapping[str, str]) -> str:
        """A text that is the same for the same quantity in all experiments of a study, up to the sign.

        Args:
            identities: Identity of each condition; see `identify_configuration`.
        """
        terms = sorted(self._terms(identities).items())
        sign = -1 if terms and terms[0][1] < 0 else 1
        parts = [f"{sign * weight:+.6g} {identity}" for identity, weight in terms]
        if self.divisor is not None:
            parts.append(f"/ {identities[self.divisor]}")
        if self.within is not None:
            parts.append(f"within {self.within}")
        metric = f"log {self.metric}" if self.relative else self.metric
        return f"{metric}: {' '.join(parts)}"

    def is_trivial(self, identities: Mapping[str, str]) -> bool:
        """Whether it is known without results, because conditions have the same settings.

        Args:
            identities: Identity of each condition; see `identify_configuration`.
        """
        terms = self._terms(identities)
        return not terms or (self.divisor is not None and [*terms] == [identities[self.divisor]])

    def _terms(self, identities: Mapping[str, str]) -> Weights:
        """The weights by identity, without those that cancel."""
        summed: Weights = {}
        for name, weight in self.weights.items():
            summed[identities[name]] = summed.get(identities[name], 0) + weight
        return {identity: weight for identity, weight in summed.items() if weight}


def identify_configuration(configuration: Configuration) -> str:
    """A short hash that two configurations share if all of their settings are the same."""
    import hashlib
    import json

    content: Any = configuration.identity()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
