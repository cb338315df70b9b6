"""The project's Kedro context, which reports invalid parameters by file and key."""

from collections.abc import Iterator
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.validation import ParameterValidationError, TypeExtractor
from pydantic import BaseModel

from cnn_ablation.adapters import checks, conf_files
from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.adapters.config_loader import ProjectConfigLoader
from cnn_ablation.adapters.validation import invalid_keys
from cnn_ablation.adapters.variants import variant_globals
from cnn_ablation.errors import InputError


class ProjectContext(KedroContext):
    """Kedro's context, which reports invalid parameters by file and key.

    `changes` are the parameters of this run that make it a variant, by the steps of their keys; see
    `study.variants`. A variant reads and writes results in folders of its own.
    """

    config_loader: ProjectConfigLoader

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
        return self.conf_files.place_of(key.split("."), kind)

    def _problems(self) -> Iterator[str]:
        groups = self.config_loader["parameters"]
        for key, kind in TypeExtractor(dict(pipelines)).extract_types_from_pipelines().items():
            if not issubclass(kind, BaseModel) or key not in groups:
                continue
            for steps, reason in invalid_keys(kind, groups[key]):
                where = ".".join([key, *steps])
                yield f"{self.place_of(where)}: {where}: {reason}"
