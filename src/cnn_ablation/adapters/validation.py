"""Messages about values that do not fit their type, one per key."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from cnn_ablation.adapters.config_loader import reaches
from cnn_ablation.errors import suggestion


def invalid_keys(kind: type[BaseModel], value: Any) -> Iterator[tuple[list[str], str]]:
    """The steps of each key whose value does not fit, and the reason with what is allowed.

    Args:
        kind: Type of the whole value.
        value: The value as the configuration has it.
    """
    try:
        kind.model_validate(value)
    except ValidationError as error:
        for detail in error.errors():
            steps = _names(detail["loc"], value)
            if detail["type"] == "extra_forbidden":
                allowed = _fields(kind, steps[:-1])
                yield (
                    steps,
                    f"unknown key; allowed: {', '.join(allowed)}.{suggestion(steps[-1], allowed)}",
                )
                continue
            given = detail["input"]
            shown = "" if isinstance(given, dict) else f" (given: {given!r})"
            yield steps, f"{detail['msg'].removeprefix('Value error, ')}{shown}"


def _fields(kind: type[BaseModel], steps: list[str]) -> list[str]:
    for step in steps:
        annotation = kind.model_fields[step].annotation
        kinds = (annotation, *get_args(annotation))
        kind = next(each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel))
    return list(kind.model_fields)


def _names(location: tuple[int | str, ...], tree: Any) -> list[str]:
    """The steps of pydantic's location that are in the file. Pydantic adds names of union members."""
    names = []
    for place, step in enumerate(location):
        inside = reaches(tree, [str(step)])
        if inside:
            tree = tree[step]
        is_member = isinstance(tree, Mapping) and tree.get("kind") == step
        is_last = place == len(location) - 1
        # The last step is the name of a key even if the file does not have it.
        if inside or (is_last and isinstance(step, str) and step.isidentifier() and not is_member):
            names.append(str(step))
    return names
