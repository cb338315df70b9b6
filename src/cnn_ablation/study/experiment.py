"""Experiments: their parameters, and the conditions and trials that follow from these."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from string import Formatter
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from cnn_ablation.base_parameters import Parameters
from cnn_ablation.errors import ParameterError, suggestion
from cnn_ablation.study.claims import Claim, lacks_conditions, same_settings, unknown_conditions
from cnn_ablation.study.configuration import (
    Configuration,
    SettingPath,
    change,
    changes_in,
    check_change,
    describe,
    label,
)
from cnn_ablation.study.parameters import SeedParameters
from cnn_ablation.study.quantities import identify_configuration
from cnn_ablation.study.trials import Condition, Trial

MAX_CONDITIONS = 1_000
"""Largest number of conditions from factors, so that a typing error does not fill the memory."""

MAX_TRIALS = 100_000
"""Largest number of trials that an experiment may have."""

LONGEST_NUMBER = 100
"""Largest width and precision of a format in a condition_name."""

Change = tuple[SettingPath, Any]
"""Path and new value of a setting."""


class Overrides(Parameters):
    """Settings that replace the baseline's.

    A bare name, or a mapping with `kind`, replaces a part. A mapping without `kind` changes some of the
    part's settings.
    """

    model: dict[str, Any] | str = Field(default={}, description="Settings of the architecture.")
    training: dict[str, Any] = Field(default={}, description="Settings of the training.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for path, value in self.changes():
            check_change(path, value)
        return self

    def changes(self) -> list[Change]:
        """Each setting as its path and value."""
        return list(changes_in({"model": self.model, "training": self.training}))


class Factors(Parameters):
    """Settings that an experiment varies, each with a list of levels.

    A level may be a part: a bare name or a mapping with `kind`.
    """

    model: dict[str, Any] | list[Any] = Field(
        default={}, description="Settings of the architecture, or a list of architectures."
    )
    training: dict[str, Any] = Field(default={}, description="Settings of the training.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for path, levels in self.changes():
            where = ".".join(path)
            if not isinstance(levels, list) or not levels:
                raise ValueError(f"{where}: must be a list of at least one value")
            for level in levels:
                check_change(path, level)
            if any(level in levels[:index] for index, level in enumerate(levels)):
                raise ValueError(f"{where}: {levels} names a value twice")
        count = math.prod(len(levels) for _, levels in self.changes())
        if count > MAX_CONDITIONS:
            raise ValueError(
                f"{count:,} combinations of values; allowed: at most {MAX_CONDITIONS:,} conditions"
            )
        return self

    def changes(self) -> list[Change]:
        """Each setting as its path and its levels."""
        return list(changes_in({"model": self.model, "training": self.training}))


class ExperimentParameters(Parameters):
    """An experiment: its question, and the conditions that it compares.

    It has either `factors`, of which every combination of levels is a condition, or `conditions`, each
    with a name and the settings that it changes.
    """

    moved: ClassVar[dict[str, str]] = {"run_name": "condition_name"}

    title: str = Field(min_length=1, description="Heading of figures and tables.")
    question: str = Field(min_length=1, description="What the experiment asks.")
    hypothesis: str = Field(min_length=1, description="The answer expected before the first run.")
    fixed: Overrides = Field(
        default=Overrides(), description="Settings that replace the baseline's in every condition."
    )
    factors: Factors = Field(
        default=Factors(), description="Settings to vary, each with a list of levels."
    )
    conditions: dict[Annotated[str, Field(pattern=r"\S")], Overrides] = Field(
        default={}, description="Named conditions, instead of factors."
    )
    condition_name: Annotated[str, Field(pattern=r"\S")] | None = Field(
        default=None,
        description="Name of a condition made from factors, with settings in braces, such as "
        "{dropout_rate} or {optimizer.learning_rate}; {num_conv_layers} stands for the length of "
        "conv_channels. null: name and level of each factor.",
    )
    claims: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Claim] | None = Field(
        default=None, description="Claims about the results, by name; null: no claims."
    )
    study: str | None = Field(
        default=None,
        description="Study that the experiment belongs to. A plain `kedro run` runs the study main. Any "
        "other name makes a pipeline with that name. null: no study.",
    )
    seeds: SeedParameters | None = Field(
        default=None,
        description="Seeds of every condition of this experiment, a list or a number; null: the group "
        "seeds. A pursuit adds seeds by its own rule.",
    )
    order: int = Field(
        default=100,
        description="Position in the journal and in tables. Experiments with the same position are "
        "sorted by name.",
    )
    figure: Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$", max_length=100)] | None = Field(
        default=None,
        description="File name of the comparison figure, without .png; null: <experiment>_comparison.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.factors.changes()) == bool(self.conditions):
            raise ValueError("needs either factors or conditions: settings to vary, or named sets")
        if self.condition_name is not None:
            if self.conditions:
                raise ValueError("condition_name: conditions are named by their keys; leave it out")
            _check_template(self.condition_name)
        return self

    def conditions_of(self, baseline: Configuration) -> list[Condition]:
        """The experiment's conditions, fully resolved, in the order of its parameters.

        Raises:
            ParameterError: Settings do not fit each other, two conditions have the same name, or a claim
                names an unknown condition or compares conditions with the same settings.
        """
        if self.conditions:
            resolved = [
                self._resolve(name, baseline, overrides.changes(), [])
                for name, overrides in self.conditions.items()
            ]
        else:
            factors = self.factors.changes()
            resolved = [
                self._resolve(
                    None,
                    baseline,
                    combination,
                    [".".join(path) for path, _ in combination],
                )
                for combination in product(
                    *([(path, level) for level in levels] for path, levels in factors)
                )
            ]
        self._check_names([condition.name for condition in resolved])
        self._check_claims(resolved)
        return resolved

    def _resolve(
        self,
        name: str | None,
        baseline: Configuration,
        changes: Sequence[Change],
        varied: Sequence[str],
    ) -> Condition:
        """The baseline with the experiment's fixed settings and these changes; later ones override."""
        tree = {group: getattr(baseline, group).model_dump() for group in ("model", "training")}
        try:
            for path, value in [*self.fixed.changes(), *changes]:
                change(tree, path, value)
                # Turn names into parts, so that later changes can change the parts' settings.
                tree = Configuration.model_validate(tree).model_dump()
            configuration = Configuration.model_validate(tree)
        except ValidationError as error:
            raise self._explain(error, name, changes) from None
        levels = {
            setting: label(configuration.value_of(tuple(setting.split(".")))) for setting in varied
        }
        return Condition(
            name=self._name(configuration, levels) if name is None else name,
            levels=levels,
            model=configuration.model,
            training=configuration.training,
        )

    def _explain(
        self, error: ValidationError, name: str | None, changes: Sequence[Change]
    ) -> ParameterError:
        detail = error.errors()[0]
        group, *location = (str(step) for step in detail["loc"])
        for path, value in reversed([*self.fixed.changes(), *changes]):
            # pydantic's location contains the kind of a part. The path does not.
            if path[0] == group and all(step in [group, *location] for step in path[:-1]):
                origin = self._origin(name, path) or ".".join(path)
                return ParameterError(origin, f"{value!r}: {describe(detail)}")
        return ParameterError(".".join([group, *location]), describe(detail))

    def _name(self, configuration: Configuration, levels: dict[str, Any]) -> str:
        """The name of a condition made from factors."""
        if self.condition_name is None:
            return "_".join(
                f"{setting.rpartition('.')[2]}_{_text(value)}" for setting, value in levels.items()
            )
        text = ""
        for literal, field, spec, _ in Formatter().parse(self.condition_name):
            text += literal
            if field is None:
                continue
            try:
                value = _value_named(field, configuration, levels)
                text += format(value, spec) if spec else str(value)
            except LookupError:
                allowed = [setting.partition(".")[2] for setting in configuration.settings()]
                raise ParameterError(
                    "condition_name",
                    f"unknown setting {{{field}}}; allowed: num_conv_layers, {', '.join(allowed)}."
                    f"{suggestion(field, allowed)}",
                ) from None
            except (ValueError, TypeError, OverflowError) as error:
                raise ParameterError(
                    "condition_name", f"{{{field}:{spec}}} cannot format {value!r}: {error}"
                ) from None
        if not text.strip():
            raise ParameterError("condition_name", "gives a condition an empty name")
        return text

    def _check_names(self, conditions: list[str]) -> None:
        names = Counter(conditions)
        shared = [name for name, count in names.items() if count > 1]
        if shared:
            raise ParameterError(
                "condition_name",
                f"gives more than one condition the name {', '.join(shared)}; name each varied "
                "setting in it",
            )
        for name in conditions:
            if not name.isprintable():
                raise ParameterError(
                    "conditions" if self.conditions else "condition_name",
                    f"the name {name!r} has characters that cannot be printed; allowed: a line of text",
                )

    def _check_claims(self, resolved: Sequence[Condition]) -> None:
        identities = {condition.name: identify_configuration(condition) for condition in resolved}
        conditions = list(identities)
        for claim_name, claim in (self.claims or {}).items():
            wrong = unknown_conditions(claim, conditions)
            if wrong is not None:
                field, missing = wrong
                raise ParameterError(
                    f"claims.{claim_name}.{field}",
                    f"no condition {', '.join(missing)}; this experiment has {', '.join(conditions)} "
                    f"(claims: null states no claims).{suggestion(missing[0], conditions)}",
                )
            reason = lacks_conditions(claim, conditions)
            if reason is not None:
                raise ParameterError(f"claims.{claim_name}", reason)
            same = same_settings(claim, identities)
            if same is not None:
                field, names = same
                raise ParameterError(
                    f"claims.{claim_name}.{field}",
                    f"the conditions {', '.join(names)} have the same settings and cannot differ; "
                    "allowed: conditions with different settings (claims: null states no claims)",
                )

    def origin(self, condition: str, setting: str) -> str | None:
        """The experiment's key that sets this dotted setting of a condition; None: the baseline does."""
        return self._origin(condition, tuple(setting.split(".")))

    def _origin(self, condition: str | None, path: SettingPath) -> str | None:
        sources: list[tuple[str, Overrides | Factors]] = [("factors", self.factors)]
        if condition in self.conditions:
            sources.append((f"conditions.{condition}", self.conditions[str(condition)]))
        sources.append(("fixed", self.fixed))
        for key, source in sources:
            for changed, _ in source.changes():
                if path[: len(changed)] == changed:
                    return ".".join([key, *changed])
        return None


def expand_trials(
    experiment: ExperimentParameters, baseline: Configuration, seeds: SeedParameters
) -> list[Trial]:
    """All trials of an experiment: each condition with each seed.

    Args:
        experiment: Its conditions.
        baseline: Settings that its conditions change.
        seeds: The seeds, whatever the experiment's own are.

    Raises:
        ParameterError: See `ExperimentParameters.conditions_of`, or there are too many trials.
    """
    conditions = experiment.conditions_of(baseline)
    if len(conditions) * len(seeds.root) > MAX_TRIALS:
        raise ParameterError(
            "conditions" if experiment.conditions else "factors",
            f"{len(conditions):,} conditions with {len(seeds.root):,} seeds each are too many; "
            f"allowed: at most {MAX_TRIALS:,} trials",
        )
    return [Trial(condition=condition, seed=seed) for condition in conditions for seed in seeds.root]


def check_moments(trials: Sequence[Trial], train_images: int, moments: int) -> None:
    """Check that an epoch of each trial has a step for each of its moments.

    Raises:
        ParameterError: It has fewer.
    """
    evaluated = [trial.condition for trial in trials if trial.condition.moments(moments) == moments]
    if not evaluated:
        return
    training = max((each.training for each in evaluated), key=lambda each: each.batch_size)
    steps, batch_size = training.steps_per_epoch(train_images), training.batch_size
    if moments > steps:
        raise ParameterError(
            "evaluation.moments",
            f"{moments} moments do not fit in an epoch of {steps} steps ({train_images:,} training "
            f"images in batches of {batch_size}); allowed: 1 to {steps}",
        )


def _check_template(template: str) -> None:
    """Reject a condition_name that is malformed.

    Raises:
        ValueError: The message says what is wrong.
    """
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"condition_name: {template!r}: {error}") from None
    for _, field, spec, conversion in parsed:
        if field == "" or conversion or "{" in (spec or ""):
            raise ValueError(
                f"condition_name: {template!r}: braces hold the name of a setting and at most a format, "
                "such as {dropout_rate} or {learning_rate:.0e}"
            )
        if any(int(number) > LONGEST_NUMBER for number in re.findall(r"\d+", spec or "")):
            raise ValueError(
                f"condition_name: {template!r}: a format pads to at most {LONGEST_NUMBER} characters"
            )


def _value_named(field: str, configuration: Configuration, levels: dict[str, Any]) -> Any:
    """The value of a field in a condition_name.

    Raises:
        LookupError: The configuration has no such setting.
    """
    for setting, value in levels.items():
        if field in (setting, setting.rpartition(".")[2]):
            return value
    for group in ("model", "training"):
        with suppress(LookupError):
            return label(configuration.value_of((group, *field.split("."))))
    raise LookupError(field)


def _text(value: Any) -> str:
    return "+".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
