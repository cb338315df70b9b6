"""The groups of parameters that all experiments share, with their allowed values.

Before any node runs, Kedro validates each `params:` entry against the type of the node's argument.
"""

from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    RootModel,
    field_validator,
    model_validator,
)

from cnn_ablation.base_parameters import Parameters, Seed

MAX_SEEDS = 10_000
"""Largest number of seeds per condition, so that a typing error does not fill the memory."""


class DataParameters(Parameters):
    """The images that train a network, and those that score it."""

    protocol: Literal["journal", "holdout"] = Field(
        description="journal: validate on the test images, as the published journal did. holdout: "
        "validate on a part of the training images, and score only the final model on the test images."
    )
    train_images: PositiveInt | None = Field(
        description="Number of training images, stratified by class; null: all."
    )
    validation_images: PositiveInt | None = Field(
        description="Number of validation images, stratified by class; null: all test images (journal) "
        "or 10,000 (holdout)."
    )
    test_images: PositiveInt | None = Field(
        description="Number of test images that score the final model, stratified by class; null: all."
    )
    split_seed: Seed = Field(description="Seed of the split, which all trials share.")


class TlsParameters(Parameters):
    """Certificates for a scheduler with a tls:// address, as paths of PEM files."""

    ca_file: str = Field(description="Certificate of the authority that signed the other certificates.")
    cert: str = Field(description="Certificate of this machine.")
    key: str = Field(description="Private key of this machine.")


class ExecutionParameters(Parameters):
    """Where and how trials run."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="Device that trains; auto selects CUDA, MPS or the CPU, in this order."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="Precision of convolutions and matrix products; auto selects bf16 if it is "
        "faster on the device, else fp32."
    )
    layers: Literal["fast", "torch"] = Field(
        description="fast: on a CPU, use this package's faster layers if the architecture supports "
        "them. torch: always use PyTorch's layers. Results differ by rounding."
    )
    workers: PositiveInt | None = Field(
        description="Number of trials that train at once on this machine; null: one per core, as memory "
        "permits, or 8 per GPU."
    )
    scheduler: Annotated[str, Field(pattern=r"^(tcp|tls)://.+:\d+$")] | None = Field(
        description="Address of the Dask scheduler of a cluster to train on; null: this machine."
    )
    tls: TlsParameters | None = Field(description="Certificates for a scheduler with a tls:// address.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scheduler is not None:
            for name in ("device", "precision"):
                if getattr(self, name) == "auto":
                    raise ValueError(
                        f"{name}: auto looks at this machine; with a scheduler, name its workers' {name}"
                    )
            if self.workers is not None:
                raise ValueError("workers: must be null with a scheduler, which has its own workers")
            if self.scheduler.startswith("tls://") and self.tls is None:
                raise ValueError("tls: a scheduler at tls:// needs ca_file, cert and key")
        return self


class EvaluationParameters(Parameters):
    """The measurement of a trial."""

    moments: PositiveInt = Field(
        description="Number of evaluations of the validation images, evenly spread over the last epoch. "
        "Their mean is the primary metric. 1: only after the last step, as in the published journal."
    )


class EvidenceParameters(Parameters):
    """The thresholds of verdicts."""

    level: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        description="Significance level: probability of any false verdict in a study, over all looks."
    )
    smallest_effect: Annotated[float, Field(gt=0, le=100)] = Field(
        description="Smallest difference of accuracy that matters, points."
    )
    planned_seeds: Annotated[int, Field(ge=2, le=MAX_SEEDS)] = Field(
        description="Largest number of seeds that the study may ever have. Each run with more seeds "
        "is a look at the results, which spends a share of the level. If the first run has all planned "
        "seeds, it has the whole level."
    )
    spending: Literal["pocock", "obrien_fleming"] = Field(
        description="How the level is spent over the looks. pocock: the nominal level is about the same "
        "at every look. obrien_fleming: nearly the whole level is left for the last look."
    )


class PursuitParameters(Parameters):
    """The seeds that `kedro run --pipeline=pursuit` adds to decide claims."""

    seeds: Annotated[list[Annotated[int, Field(gt=0, le=MAX_SEEDS)]], Field(min_length=1)] = Field(
        description="Number of seeds per condition at each look at the claims, rising. The last number "
        "is the limit."
    )
    minutes: PositiveFloat | None = Field(
        description="No look starts after this many minutes of training; null: no limit."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seeds[0] < 2 or any(a >= b for a, b in pairwise(self.seeds)):
            raise ValueError("seeds: must rise from look to look, and start with at least 2")
        return self


class PredictionParameters(Parameters):
    """The classification of images. conf/base/globals.yml names the folder of images and the model."""

    dark_on_light: bool | None = Field(
        description="Whether the images show dark objects on a light ground. They are then inverted, "
        "because the networks were trained on light objects on a dark ground. null: detected for each "
        "image, see docs/images.md."
    )


class SeedParameters(RootModel[Annotated[list[Seed], Field(min_length=1, max_length=MAX_SEEDS)]]):
    """The seeds of every condition: a list, or a number n for the seeds 0 to n-1."""

    model_config = ConfigDict(strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, seeds: Any) -> Any:
        if isinstance(seeds, int) and not isinstance(seeds, bool):
            if seeds < 1:
                raise ValueError(
                    f"{seeds} seeds: at least 1 is needed (a single seed of your choice is a list: [7])"
                )
            if seeds > MAX_SEEDS:
                raise ValueError(
                    f"{seeds:,} seeds: at most {MAX_SEEDS:,} are allowed (a single seed of your choice "
                    "is a list: [7])"
                )
            return list(range(seeds))
        if not isinstance(seeds, list):
            raise ValueError("needs a number of seeds, such as 3, or a list of seeds, such as [0, 1, 2]")
        return seeds

    @field_validator("root")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        repeated = [str(seed) for seed, count in Counter(seeds).items() if count > 1]
        if repeated:
            raise ValueError(f"duplicate seeds: {', '.join(repeated)}; each counts once")
        return seeds
