"""The typed parameters of a study.

Kedro validates each `params:` entry against the type of the node argument that takes it, before any
node runs. What is allowed is said here and nowhere else.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise, product
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    RootModel,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from cnn_ablation.errors import ParameterError
from cnn_ablation.schema import Parameters
from cnn_ablation.study.claims import Claim, misnamed

Group = Literal["model", "training"]


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


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd, so that padding keeps the image's size")
    return size


class ModelParameters(Parameters):
    """Architecture of the network."""

    conv_channels: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        description="Output channels of each convolutional layer."
    )
    kernel_size: Annotated[PositiveInt, AfterValidator(_odd)] = Field(
        description="Side of the convolutions' kernels, pixels; odd, so that padding keeps the size."
    )
    use_batch_norm: bool = Field(description="Batch normalization after each convolution.")
    use_pooling: bool = Field(description="2x2 max pooling after each convolutional layer.")
    dropout_rate: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="Probability of zeroing an activation of a hidden fully connected layer."
    )
    fc_units: list[PositiveInt] = Field(
        description="Units of each hidden fully connected layer; [] for none."
    )


class TrainingParameters(Parameters):
    """How a network is trained."""

    epochs: PositiveInt = Field(description="Passes over the training images.")
    batch_size: PositiveInt = Field(description="Images per optimizer step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(description="Update rule.")
    learning_rate: PositiveFloat = Field(description="Step size, constant over training.")
    weight_decay: NonNegativeFloat = Field(
        description="L2 penalty (adam, sgd) or decoupled decay (adamw)."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="Momentum; sgd only.")


class BaselineParameters(Parameters):
    """The configuration that an experiment changes a few settings of."""

    model: ModelParameters
    training: TrainingParameters


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
    workers: PositiveInt | None = Field(
        description="Trials that run at once on this machine; null: one per core, memory permitting, "
        "or one per GPU."
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

    seeds: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
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


class SeedParameters(RootModel[Annotated[list[Seed], Field(min_length=1)]]):
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
            return list(range(seeds))
        return seeds

    @field_validator("root")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        repeated = [str(seed) for seed, count in Counter(seeds).items() if count > 1]
        if repeated:
            raise ValueError(f"duplicate seeds: {', '.join(repeated)}; each counts once")
        return seeds


class Overrides(Parameters):
    """Settings that replace the baseline's."""

    model: dict[str, Any] = Field(default={})
    training: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> Self:
        for group, name, value in self.items():
            _check_setting(group, name, value)
        return self

    def items(self) -> list[tuple[Group, str, Any]]:
        """Each setting as (group, name, value)."""
        return [("model", name, value) for name, value in self.model.items()] + [
            ("training", name, value) for name, value in self.training.items()
        ]


class Factors(Overrides):
    """Settings that an experiment varies: a list of values (levels) each."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for group, name, levels in self.items():
            if not isinstance(levels, list) or not levels:
                raise ValueError(f"{group}.{name}: must be a list of at least one value")
            for level in levels:
                _check_setting(group, name, level)
            if any(level in levels[:index] for index, level in enumerate(levels)):
                raise ValueError(f"{group}.{name}: {levels} names a value twice")
        return self


class ExperimentParameters(Parameters):
    """An experiment: what it asks, and the conditions that it compares.

    Either `factors` (every combination of their levels is a condition) or `conditions` (each named,
    with the settings that it changes).
    """

    title: str = Field(min_length=1, description="Heading of figures and tables.")
    question: str = Field(min_length=1, description="What the experiment asks.")
    hypothesis: str = Field(min_length=1, description="The answer expected before the first run.")
    fixed: Overrides = Field(
        default=Overrides(), description="Settings that replace the baseline's in every condition."
    )
    factors: Factors = Field(
        default=Factors(), description="Settings to vary, each with a list of values."
    )
    conditions: dict[str, Overrides] = Field(
        default={}, description="Named conditions, in place of factors."
    )
    run_name: str | None = Field(
        default=None,
        description="Name of a condition made from factors, with settings in braces; "
        "{num_conv_layers} stands for the length of conv_channels.",
    )
    claims: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Claim] | None = Field(
        default=None, description="What it claims of its results, by name; null: nothing."
    )
    study: str | None = Field(
        default=None,
        description="Study that runs the experiment: main is what a plain `kedro run` runs, any other "
        "name makes a pipeline of that name; null: none.",
    )
    order: int = Field(
        default=100,
        description="Place among the experiments in the journal and in tables; names decide between "
        "equal places.",
    )
    figure: Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$")] | None = Field(
        default=None,
        description="File name of the comparison figure, without .png; null: <experiment>_comparison.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.factors.items()) == bool(self.conditions):
            raise ValueError("needs either factors or conditions: settings to vary, or named sets")
        if self.factors.items():
            if self.run_name is None:
                raise ValueError("run_name: needed with factors, such as 'dropout_{dropout_rate}'")
            known = [
                *ModelParameters.model_fields,
                *TrainingParameters.model_fields,
                "num_conv_layers",
            ]
            for _, field, _, _ in Formatter().parse(self.run_name):
                if field is not None and field not in known:
                    raise ValueError(
                        f"run_name: unknown setting {{{field}}}; allowed: {', '.join(known)}"
                    )
        elif self.run_name is not None:
            raise ValueError("run_name: conditions are named by their keys; leave it out")
        return self

    def conditions_of(self, baseline: BaselineParameters) -> list["Condition"]:
        """The experiment's conditions, fully resolved, in the order of its parameters.

        Raises:
            ParameterError: Two conditions have one name, or a claim is about one that is not there.
        """
        if self.conditions:
            resolved = [
                _resolve(name, baseline, [*self.fixed.items(), *overrides.items()], {})
                for name, overrides in self.conditions.items()
            ]
        else:
            grid = [
                [(group, name, level) for level in levels]
                for group, name, levels in self.factors.items()
            ]
            resolved = [
                _resolve(
                    self.run_name or "",
                    baseline,
                    [*self.fixed.items(), *combination],
                    {name: level for _, name, level in combination},
                )
                for combination in product(*grid)
            ]
        self._check_names([condition.name for condition in resolved])
        return resolved

    def _check_names(self, conditions: list[str]) -> None:
        names = Counter(conditions)
        shared = [name for name, count in names.items() if count > 1]
        if shared:
            raise ParameterError(
                "run_name",
                f"gives more than one condition the name {', '.join(shared)}; name each varied "
                "setting in it",
            )
        for claim_name, claim in (self.claims or {}).items():
            wrong = misnamed(claim, conditions)
            if wrong is not None:
                field, missing = wrong
                raise ParameterError(
                    f"claims.{claim_name}.{field}",
                    f"no condition {', '.join(missing)}; this experiment has {', '.join(conditions)} "
                    "(claims: null makes no claims)",
                )

    def origin(self, condition: str, group: Group, setting: str) -> str | None:
        """Key, within the experiment, that gives the condition this setting; None: the baseline."""
        if setting in getattr(self.factors, group):
            return f"factors.{group}.{setting}"
        if setting in getattr(self.conditions.get(condition, Overrides()), group):
            return f"conditions.{condition}.{group}.{setting}"
        return f"fixed.{group}.{setting}" if setting in getattr(self.fixed, group) else None


class Condition(Parameters):
    """One fully resolved configuration of an experiment: its trials differ in the seed alone.

    `levels` holds the values of the experiment's factors, by setting; empty for named conditions.
    """

    name: str
    levels: dict[str, Any]
    model: ModelParameters
    training: TrainingParameters


class Trial(Parameters):
    """One training of one condition with one seed."""

    condition: Condition
    seed: Seed

    @property
    def name(self) -> str:
        """The condition's name, as in the journal, with the seed."""
        return f"{self.condition.name} seed {self.seed}"

    def settings(self) -> dict[str, Any]:
        """Every setting that decides the trial's result, flat: `model.dropout_rate` and so on."""
        return {
            f"{group}.{name}": value
            for group in GROUPS
            for name, value in getattr(self.condition, group).model_dump().items()
        } | {"seed": self.seed}


GROUPS: dict[Group, type[Parameters]] = {"model": ModelParameters, "training": TrainingParameters}


def expand_trials(
    experiment: ExperimentParameters, baseline: BaselineParameters, seeds: SeedParameters
) -> list[Trial]:
    """All trials of an experiment: each condition with each seed.

    Raises:
        ParameterError: Two conditions have one name.
    """
    return [
        Trial(condition=condition, seed=seed)
        for condition in experiment.conditions_of(baseline)
        for seed in seeds.root
    ]


def _check_setting(group: Group, name: str, value: Any) -> None:
    """Raise ValueError unless the group has such a setting and the value is one of it."""
    fields = GROUPS[group].model_fields
    if name not in fields:
        raise ValueError(f"{group}.{name}: no such setting; allowed: {', '.join(fields)}")
    kind: Any = Annotated[fields[name].annotation, fields[name]]
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        reason = "; ".join(detail["msg"] for detail in error.errors())
        raise ValueError(f"{group}.{name}: {value!r}: {reason}") from None


def _resolve(
    name_template: str,
    baseline: BaselineParameters,
    changes: Sequence[tuple[Group, str, Any]],
    levels: dict[str, Any],
) -> Condition:
    """The baseline with the changes, the later ones last, under the name that the template gives."""
    groups: dict[Group, dict[str, Any]] = {
        group: getattr(baseline, group).model_dump() for group in GROUPS
    }
    for group, setting, value in changes:
        groups[group][setting] = value
    model = ModelParameters.model_validate(groups["model"])
    training = TrainingParameters.model_validate(groups["training"])
    return Condition(
        name=name_template.format(**_name_fields(model, training)),
        levels=levels,
        model=model,
        training=training,
    )


def _name_fields(model: ModelParameters, training: TrainingParameters) -> dict[str, Any]:
    return {
        **model.model_dump(),
        **training.model_dump(),
        "num_conv_layers": len(model.conv_channels),
    }
