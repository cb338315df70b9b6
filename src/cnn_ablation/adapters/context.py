"""The project's Kedro context: parameters that are not valid are reported by file and key."""

import re
from collections.abc import Iterator
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol, DatasetError
from kedro.validation import ParameterValidationError, TypeExtractor
from pydantic import BaseModel, ValidationError

from cnn_ablation.adapters import configuration
from cnn_ablation.adapters.configuration import Configuration, InputError, reaches


class ProjectContext(KedroContext):
    """Kedro's context, with an answer to what is wrong in which file."""

    config_loader: OmegaConfigLoader

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration = Configuration(self.config_loader, self.project_path)
        configuration.use(self.configuration)

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
        """The file, or `--params`, that gives this dotted key of the configuration its value."""
        return self.configuration.place_of(key.split("."), kind) or "conf"

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
        inside = reaches(tree, [str(step)])
        if inside:
            tree = tree[step]
        # What is missing in the file has a name all the same, at the end of the location.
        if inside or (place == len(location) - 1 and isinstance(step, str) and step.isidentifier()):
            names.append(str(step))
    return names
