"""The project's Kedro context, which reports invalid parameters by file and key."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.validation import ParameterValidationError, TypeExtractor
from pydantic import BaseModel

from cnn_ablation.adapters import checks, conf_files
from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.conf_files import ConfFiles, check_environment
from cnn_ablation.adapters.config_loader import ProjectConfigLoader
from cnn_ablation.adapters.validation import invalid_keys
from cnn_ablation.adapters.variants import variant_globals
from cnn_ablation.errors import InputError
from cnn_ablation.study.groups import SHARED_GROUPS


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
            check_environment(self.conf_files)
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
            params: dict[str, Any] = super().params
        except ParameterValidationError as error:
            # Kedro's error is plain text without pydantic's details of each key, so validate again.
            used = TypeExtractor(dict(pipelines)).extract_types_from_pipelines()
            problems = list(self._problems({**used, **SHARED_GROUPS}))
            raise _invalid(problems or [str(error)]) from None
        # Kedro validates only the groups that the pipelines of the run use.
        if problems := list(self._problems(SHARED_GROUPS)):
            raise _invalid(problems)
        return params

    def place_of(self, key: str, kind: str = "parameters") -> str:
        """The file, or `--params`, that gives this dotted key of the configuration its value."""
        return self.conf_files.place_of(key.split("."), kind)

    def _problems(self, kinds: Mapping[str, type]) -> Iterator[str]:
        """The parameters that do not fit the types of their groups, each with its place."""
        groups = self.config_loader["parameters"]
        for key, kind in kinds.items():
            if not issubclass(kind, BaseModel) or key not in groups:
                continue
            for steps, reason in invalid_keys(kind, groups[key]):
                where = ".".join([key, *steps])
                yield f"{self.place_of(where)}: {where}: {reason}"


def _invalid(problems: Sequence[str]) -> InputError:
    many = len(problems) > 1
    head = f"{len(problems)} parameters are not valid:" if many else "A parameter is not valid:"
    return InputError("\n  ".join([head, *problems]))
