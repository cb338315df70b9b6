"""The groups of parameters that all experiments share, and what is allowed in them.

Kedro validates each `params:` entry against the type of the node argument that takes it, before any
node runs.
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

from cnn_ablation.schema import Parameters

MAX_SEEDS = 10_000
"""Largest number of seeds per condition: a typing error shall not fill the memory."""


class DataParameters(Parameters):
    """Which images train a network, and which ones score it."""

    protocol: Literal["journal", "holdout"] = Field(
        description="journal: the test images serve as validation images, as the journal had it. "
        "holdout: validation images are split off the training images; the test images are "
        "scored once, by the final model."
    )
    train_images: PositiveInt | None = Field(
        description="Training images, stratified by class; null: all that there are."
    )
    validation_images: PositiveInt | None = Field(
        description="Validation images, stratified by class; null: all test images (journal) or "
        "10,000 (holdout)."
    )
    test_images: PositiveInt | None = Field(
        description="Test images that score the final model, stratified by class; null: all that there "
        "are."
    )
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="Seed of the split, the same for every trial."
    )


class TlsParameters(Parameters):
    """Certificates for a scheduler at a tls:// address; paths of PEM files."""

    ca_file: str = Field(description="Certificate of the authority that signed the others.")
    cert: str = Field(description="This side's certificate.")
    key: str = Field(description="This side's private key.")


class ExecutionParameters(Parameters):
    """Where and how trials run."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        description="auto takes CUDA, else MPS, else the CPU."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="Of convolutions and matrix products; auto takes bf16 where the processor has it."
    )
    layers: Literal["fast", "torch"] = Field(
        description="fast: on a CPU, layers of this package where the architecture has them. torch: "
        "PyTorch's layers everywhere. Their results differ by rounding."
    )
    workers: PositiveInt | None = Field(
        description="Trials that run at once on this machine; null: one per core, memory permitting, "
        "or 8 per GPU."
    )
    scheduler: Annotated[str, Field(pattern=r"^(tcp|tls)://.+:\d+$")] | None = Field(
        description="Address of a Dask scheduler to train on; null: a cluster on this machine alone."
    )
    tls: TlsParameters | None = Field(description="Certificates for a tls:// scheduler.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scheduler is not None:
            for name in ("device", "precision"):
                if getattr(self, name) == "auto":
                    raise ValueError(
                        f"{name}: auto asks this machine; with a scheduler name what its workers have"
                    )
            if self.workers is not None:
                raise ValueError("workers: a scheduler has workers of its own; leave it null")
            if self.scheduler.startswith("tls://") and self.tls is None:
                raise ValueError("tls: a scheduler at tls:// needs ca_file, cert and key")
        return self


class EvidenceParameters(Parameters):
    """When results are taken for evidence."""

    level: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        description="Probability of any false verdict among an experiment's claims."
    )
    smallest_effect: PositiveFloat = Field(
        description="Differences of accuracy below it do not matter, points."
    )


class PursuitParameters(Parameters):
    """How far seeds are added to decide claims."""

    seeds: Annotated[list[Annotated[int, Field(gt=0, le=MAX_SEEDS)]], Field(min_length=1)] = Field(
        description="Seeds per condition at each look at the claims, rising; no further than the last."
    )
    minutes: PositiveFloat | None = Field(
        description="No look is begun after so many minutes of training; null: no limit."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seeds[0] < 2 or any(a >= b for a, b in pairwise(self.seeds)):
            raise ValueError("seeds: must rise from look to look, from 2 at least")
        return self


class PredictionParameters(Parameters):
    """How images are classified; which, and with what model, is in conf/base/globals.yml."""

    dark_on_light: bool = Field(
        description="Whether the images show dark things on a light ground, as most photographs of "
        "products do; the networks were trained on light ones on a dark ground."
    )


Seed = Annotated[int, Field(ge=0, lt=2**32)]


class SeedParameters(RootModel[Annotated[list[Seed], Field(min_length=1, max_length=MAX_SEEDS)]]):
    """The seeds of every condition: a list of them, or a number n for 0 … n-1."""

    model_config = ConfigDict(strict=True, frozen=True)

    def __str__(self) -> str:
        return self.model_dump_json()

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
        return seeds

    @field_validator("root")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        repeated = [str(seed) for seed, count in Counter(seeds).items() if count > 1]
        if repeated:
            raise ValueError(f"duplicate seeds: {', '.join(repeated)}; each counts once")
        return seeds
