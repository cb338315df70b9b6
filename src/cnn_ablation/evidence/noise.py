"""The noise of an accuracy: its parts, and the part that the choice of validation images adds.

Intervals over seeds hold for the validation images at hand. No number of seeds shows how the same
networks would do on other images of the kind. Seeds and images are crossed: each network classifies each
image.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from cnn_ablation.evidence.effects import CONFIDENCE, Effect

BUDGET_COLUMNS = [
    *("condition", "seeds", "last_step_sd", "seed_sd", "final_sd", "images_sd", "distribution_sd"),
    "images_se",
]


@dataclass(frozen=True)
class ImageNoise:
    """Variation of conditions' accuracies between images.

    Args:
        conditions: Names of the conditions.
        among: Covariance between images of the conditions' accuracies, means over seeds, percent^2,
            (conditions, conditions).
        residual: Covariance of what neither seed nor image explains, percent^2.
        seeds: Number of seeds that all conditions share.
        images: Number of images.
    """

    conditions: list[str]
    among: np.ndarray
    residual: np.ndarray
    seeds: int
    images: int

    @classmethod
    def of(cls, hits: Mapping[str, np.ndarray]) -> Self | None:
        """Estimate it by the analysis of variance of a crossed design (Cornfield & Tukey, 1956).

        Args:
            hits: Share of correct classifications per condition, (seeds, images). The seeds are the same
                in all conditions.

        Returns:
            None with fewer than two seeds.
        """
        values = 100 * np.stack(list(hits.values()))
        _, seeds, images = values.shape
        if seeds < 2 or images < 2:
            return None
        means = values.mean(axis=1)
        rest = values - means[:, None] - values.mean(axis=2, keepdims=True)
        rest += values.mean(axis=(1, 2), keepdims=True)
        flat = rest.reshape(len(values), -1)
        return cls(
            list(hits),
            np.atleast_2d(np.cov(means)),
            flat @ flat.T / ((seeds - 1) * (images - 1)),
            seeds,
            images,
        )

    def covers(self, conditions: Iterable[str]) -> bool:
        """Whether the noise of these conditions is known."""
        return set(conditions) <= set(self.conditions)

    def variance(self, weights: Mapping[str, float]) -> float:
        """Variance, points^2, that the choice of images adds to a weighted sum of accuracies."""
        vector = np.array([weights.get(name, 0.0) for name in self.conditions])
        among = float(vector @ self.among @ vector)
        residual = float(vector @ self.residual @ vector)
        return max(0.0, among - residual / self.seeds) / self.images

    def interval(self, effect: Effect, weights: Mapping[str, float]) -> tuple[float, float]:
        """95 % interval over seeds and images.

        Args:
            effect: The effect over seeds.
            weights: Its conditions' weights.
        """
        if not effect.standard_error > 0:
            return (math.nan, math.nan)
        parts = np.array([effect.standard_error**2, self.variance(weights)])
        dof = parts.sum() ** 2 / float((parts**2 / [effect.dof, self.images - 1]).sum())
        total = Effect(effect.estimate, math.sqrt(parts.sum()), dof, effect.seeds)
        return total.interval(CONFIDENCE)

    def dump(self) -> dict[str, Any]:
        """The noise in types that JSON can hold."""
        return {
            "conditions": self.conditions,
            "among": self.among.tolist(),
            "residual": self.residual.tolist(),
            "seeds": self.seeds,
            "images": self.images,
        }

    @classmethod
    def load(cls, content: Mapping[str, Any] | None) -> Self | None:
        """The inverse of `dump`."""
        if content is None:
            return None
        arrays = {name: np.array(content[name]) for name in ("among", "residual")}
        return cls(**{**content, **arrays})


def budget_noise(trial_metrics: pd.DataFrame, final_hits: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Where the variation of a condition's accuracy comes from, a row per condition.

    Args:
        trial_metrics: A row per trial.
        final_hits: Whether each image was classified correctly after the last step, per condition with a
            finished trial, bool (seeds, images).

    Returns:
        Columns, in points of accuracy:

        - last_step_sd: of the accuracies at the moments of the last epoch, root mean square over seeds.
        - seed_sd: over seeds, of the mean over moments, which is what verdicts are about.
        - final_sd: over seeds, of the value after the last step.
        - images_sd: part of final_sd that comes from the finite number of images, if trainings make
            independent errors on different images: (1/n) sqrt(sum of p (1 - p)) over the images, where p
            is the share of trainings that classify an image correctly.
        - distribution_sd: the rest of final_sd: how much trainings differ on all images of the kind
            (Jordan, 2023).
        - images_se: standard error of the mean accuracy over images, which more seeds do not lower; with
          one seed, that of this training's accuracy.
    """
    finished = trial_metrics[trial_metrics["status"] == "finished"]
    rows = []
    for condition, trials in finished.groupby("condition", sort=False):
        hits = final_hits[str(condition)]
        seeds, images = hits.shape
        shares = hits.mean(axis=0)
        final = trials["final_val_accuracy"].std()
        bernoulli = distribution = math.nan
        between = 1e4 * float(shares.var(ddof=1))
        if seeds > 1:
            within = 1e4 * float((shares * (1 - shares)).mean()) * seeds / (seeds - 1)
            variance = within / images
            between = max(0.0, between - within / seeds)
            bernoulli, distribution = (
                math.sqrt(part) for part in (variance, max(0.0, final**2 - variance))
            )
        rows.append(
            {
                "condition": condition,
                "seeds": seeds,
                "last_step_sd": math.sqrt((trials["val_accuracy_spread"] ** 2).mean()),
                "seed_sd": trials["mean_val_accuracy"].std(),
                "final_sd": final,
                "images_sd": bernoulli,
                "distribution_sd": distribution,
                "images_se": math.sqrt(between / images),
            }
        )
    return pd.DataFrame(rows, columns=BUDGET_COLUMNS)
