"""The project's Kedro context: parameters that are not valid are reported by file and key."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol, DatasetError
from kedro.validation import ParameterValidationError, TypeExtractor
from omegaconf import OmegaConf
from pydantic import BaseModel, ValidationError


class InputError(click.ClickException):
    """What the user gave cannot be run. A command ends with its message and no traceback."""


class ProjectContext(KedroContext):
    """Kedro's context, with an answer to what is wrong in which file."""

    config_loader: OmegaConfigLoader

    @property
    def params(self) -> dict[str, Any]:
        """The validated parameters.

        Raises:
            InputError: Some are not valid; the message names file, key and what is allowed.
        """
        try:
            return super().params
        except ParameterValidationError as error:
            problems = list(self._problems())
            message = "\n".join(
                [
                    f"{len(problems)} parameters are not valid:"
                    if len(problems) > 1
                    else "A parameter is not valid:",
                    *(f"  {problem}" for problem in problems),
                ]
            )
            raise InputError(message if problems else str(error)) from None

    def _get_catalog(self, *args: Any, **kwargs: Any) -> CatalogProtocol[Any, Any]:
        """Kedro's catalog; an entry that makes no dataset is reported by file and name."""
        try:
            return super()._get_catalog(*args, **kwargs)
        except DatasetError as error:
            message = " ".join(str(error).split())
            named = re.search(r"[Dd]ataset '(.+?)'", message)
            place = f"{self.place_of(named[1], 'catalog')}: {named[1]}: " if named else ""
            raise InputError(f"{place}{message}") from None

    def place_of(self, key: str, kind: str = "parameters") -> str:
        """Where this dotted key of the conf files of a kind gets its value: a file, or `--params`."""
        path = key.split(".")
        if kind == "parameters" and _reaches(self.config_loader.runtime_params, path) == len(path):
            return "--params"
        best, place = 0, "conf"
        loader = self.config_loader
        for env in (loader.base_env, self.env or loader.default_run_env):
            for file in sorted((Path(loader.conf_source) / env).rglob(f"{kind}*.yml")):
                depth = _reaches(_read(file), path)
                # Of files that reach as deep, the later one, the environment's, decides.
                if depth and depth >= best:
                    best, place = depth, os.path.relpath(file, self.project_path)
        return place

    def _problems(self) -> Iterator[str]:
        groups = self.config_loader["parameters"]  # Which reads all the files anew.
        for key, kind in TypeExtractor(dict(pipelines)).extract_types_from_pipelines().items():
            value = groups.get(key)
            if not issubclass(kind, BaseModel) or value is None:
                continue
            try:
                kind.model_validate(value)
            except ValidationError as error:
                for detail in error.errors():
                    where = ".".join([key, *_names(detail["loc"], value)])
                    message = detail["msg"].removeprefix("Value error, ")
                    given = detail["input"]
                    shown = "" if isinstance(given, dict) else f" (given: {given!r})"
                    yield f"{self.place_of(where)}: {where}: {message}{shown}"


def _names(location: tuple[int | str, ...], tree: Any) -> list[str]:
    """The part of a pydantic location that stands in the file: without names of union members."""
    names = []
    for place, step in enumerate(location):
        inside = _reaches(tree, [str(step)])
        if inside:
            tree = tree[step]
        # What is missing in the file has a name all the same, at the end of the location.
        if inside or (place == len(location) - 1 and isinstance(step, str) and step.isidentifier()):
            names.append(str(step))
    return names


def _reaches(tree: Any, path: list[str]) -> int:
    """How many steps of the path the tree has."""
    for depth, step in enumerate(path):
        if isinstance(tree, list) and step.isdigit() and int(step) < len(tree):
            tree = tree[int(step)]
        elif isinstance(tree, dict) and step in tree:
            tree = tree[step]
        else:
            return depth
    return len(path)


def _read(file: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(file))
