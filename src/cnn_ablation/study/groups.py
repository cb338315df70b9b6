"""Discovery of the experiments among the groups of parameters."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from cnn_ablation.errors import ParameterError, suggestion
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import (
    DataParameters,
    EvaluationParameters,
    EvidenceParameters,
    ExecutionParameters,
    PredictionParameters,
    PursuitParameters,
    SeedParameters,
)

SHARED_GROUPS: Mapping[str, type[BaseModel]] = {
    "data": DataParameters,
    "baseline": Configuration,
    "seeds": SeedParameters,
    "execution": ExecutionParameters,
    "evaluation": EvaluationParameters,
    "evidence": EvidenceParameters,
    "pursuit": PursuitParameters,
    "prediction": PredictionParameters,
}
"""Types of the groups that all experiments share, by name."""

MAIN_STUDY = "main"
"""Name of the study that a plain `kedro run` runs."""

OTHER_FIGURES = ("claims", "learning_curves", "confusion_matrix")
"""File names of the figures that an experiment has besides its comparison figure."""

_REQUIRED = [name for name, field in ExperimentParameters.model_fields.items() if field.is_required()]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


class Experiment(NamedTuple):
    """The facts about an experiment that its pipeline depends on.

    Args:
        name: Name of its group of parameters, its pipeline and its folder of results.
        study: Name of the study that it belongs to, or None.
        order: Position among the experiments.
        figure: File name of its comparison figure, without the suffix.
    """

    name: str
    study: str | None
    order: int
    figure: str


def find_experiments(groups: Mapping[str, Any], reserved: Collection[str]) -> list[Experiment]:
    """Find the experiments among all groups of parameters.

    A group is an experiment if it has a title, a question or a hypothesis. Types are checked later,
    together with those of all other parameters; until then the default replaces a value of a wrong type.

    Args:
        groups: The parameters as the files have them, by top-level key.
        reserved: Names that neither an experiment nor a study can have.

    Returns:
        The experiments by `order`, then by name.

    Raises:
        ParameterError: A group is neither shared nor an experiment, or a name cannot be used.
    """
    described = {
        name: group
        for name, group in groups.items()
        if isinstance(group, Mapping) and not group.keys().isdisjoint(_REQUIRED)
    }
    for name in groups:
        if name not in SHARED_GROUPS and name not in described:
            raise _unknown_group(name, described)
    taken = {*reserved, *SHARED_GROUPS}
    experiments = []
    for name, group in described.items():
        # In a shared group, only the keys of an experiment are wrong.
        key = next(required for required in _REQUIRED if required in group)
        _check_name(f"{name}.{key}" if name in SHARED_GROUPS else str(name), name, {*taken, MAIN_STUDY})
        study, order, figure = (_valid(key, group) for key in ("study", "order", "figure"))
        if study not in (None, MAIN_STUDY):
            _check_name(f"{name}.study", study, {*taken, *described})
        if figure in OTHER_FIGURES:
            raise ParameterError(
                f"{name}.figure",
                f"{figure}.png is another figure of this experiment; choose another name",
            )
        experiments.append(Experiment(name, study, order, figure or f"{name}_comparison"))
    return sorted(experiments, key=lambda experiment: (experiment.order, experiment.name))


def group_by_study(experiments: Iterable[Experiment]) -> dict[str, list[str]]:
    """Names of the experiments of each study, by the study's name; `main` is always there."""
    members: dict[str, list[str]] = {MAIN_STUDY: []}
    for experiment in experiments:
        if experiment.study is not None:
            members.setdefault(experiment.study, []).append(experiment.name)
    return members


def _valid(key: str, group: Mapping[str, Any]) -> Any:
    """The value of the key if it has the right type, else the default."""
    field = ExperimentParameters.model_fields[key]
    kind: Any = Annotated[field.annotation, field]
    try:
        return TypeAdapter(kind).validate_python(group.get(key, field.default), strict=True)
    except ValidationError:
        return field.default


def _unknown_group(name: str, experiments: Iterable[str]) -> ParameterError:
    allowed = [*SHARED_GROUPS, *sorted(str(experiment) for experiment in experiments)]
    return ParameterError(
        str(name),
        f"no such group; allowed: {', '.join(allowed)}, and further experiments, each with "
        f"{', '.join(_REQUIRED[:-1])} and {_REQUIRED[-1]}.{suggestion(name, allowed)}",
    )


def _check_name(key: str, name: Any, taken: Collection[str]) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ParameterError(
            key,
            f"{name!r} is not a valid name; allowed: at most 100 letters, digits and underscores, "
            "beginning with a letter",
        )
    if name in taken:
        raise ParameterError(key, f"{name!r} is taken; allowed: any but {', '.join(sorted(taken))}")
