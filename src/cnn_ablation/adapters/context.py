"""The project's Kedro context, which reports invalid parameters by file and key."""

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.validation import ParameterValidationError, TypeExtractor
from pydantic import BaseModel, ValidationError

from cnn_ablation.adapters import checks, conf_files
from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.conf_files import ConfFiles, reaches
from cnn_ablation.adapters.variants import variant_globals
from cnn_ablation.errors import InputError


class ProjectContext(KedroContext):
    """Kedro's context, which reports invalid parameters by file and key.

    `changes` are the parameters of this run that make it a variant, by dotted key; see `study.variants`.
    A variant reads and writes results in folders of its own.
    """

    config_loader: OmegaConfigLoader

    @click_errors()
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conf_files = ConfFiles(self.config_loader, self.project_path)
        self.changes = self.conf_files.find_changes()
        if self.changes:
            checks.check_environment(self.conf_files)
            checks.check_globals(self.conf_files)
            folders = self.config_loader["globals"]
            self.config_loader["globals"] = variant_globals(folders, self.changes)
        conf_files.use(self.conf_files)

    @property
    @click_errors()
    def params(self) -> dict[str, Any]:
        """The validated parameters.

        Raises:
            InputError: Some are not valid. The message names file, key and what is allowed.
        """
        try:
            return super().params
        except ParameterValidationError as error:
            # Kedro's error is plain text without pydantic's details of each key, so validate again.
            problems = list(self._problems())
            many = len(problems) > 1
            head = f"{len(problems)} parameters are not valid:" if many else "A parameter is not valid:"
            raise InputError("\n  ".join([head, *problems]) if problems else str(error)) from None

    def place_of(self, key: str, kind: str = "parameters") -> str:
        """The file, or `--params`, that gives this dotted key of the configuration its value."""
        return self.conf_files.place_of(key.split("."), kind) or "conf"

    def _problems(self) -> Iterator[str]:
        groups = self.config_loader["parameters"]
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
