"""The configuration that the pipelines are built from.

Kedro calls `register_pipelines` without arguments, but the pipelines depend on the parameters. Each new
context therefore announces its configuration here.
"""

import json
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

from kedro.config import MissingConfigException
from kedro.framework.project import pipelines
from omegaconf import DictConfig, OmegaConf

from cnn_ablation.adapters.config_loader import (
    PROJECT_ROOT,
    ProjectConfigLoader,
    reaches,
    read_file,
)
from cnn_ablation.errors import InputError, ParameterError, suggestion
from cnn_ablation.study.groups import Experiment, find_experiments
from cnn_ablation.study.variants import Changes, find_changes


def project_uri() -> str:
    """The project's folder as part of an SQLite database's address, in which %20 would be a space."""
    return PROJECT_ROOT.as_posix().replace("%", "%25").replace("?", "%3F")


def mlflow_view(name: str, state: DictConfig) -> str:
    """A view of an experiment's runs, as MLflow's page keeps it in a tag of the experiment."""
    container = OmegaConf.to_container(state)
    return json.dumps({"name": name, "createdAt": 0, "state": json.dumps(container)})


LOADER_ARGUMENTS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # Kedro would ignore a globals.yaml, and kedro-mlflow adds its own pattern only later.
    "config_patterns": {
        kind: [f"{kind}*", f"{kind}*/**", f"**/{kind}*"] for kind in ("globals", "mlflow")
    },
    # An environment needs only the keys that differ from base, inside groups too.
    "merge_strategy": {"parameters": "soft", "mlflow": "soft", "globals": "soft"},
    "custom_resolvers": {
        "project_root": PROJECT_ROOT.as_posix,
        "project_uri": project_uri,
        "mlflow_view": mlflow_view,
    },
}
"""Arguments of `ProjectConfigLoader`."""


class ConfFiles(NamedTuple):
    """Configuration files of one project and environment.

    Args:
        loader: Reads and merges the files.
        project_path: Folder to which paths in messages are relative.
    """

    loader: ProjectConfigLoader
    project_path: Path

    def place_of(self, path: Sequence[str], kind: str = "parameters") -> str:
        """Find where a key of the configuration gets its value.

        Args:
            path: The steps of the key, such as ["dropout", "title"].
            kind: Kind of configuration: its files begin with this.

        Returns:
            A file, relative to the project, or `--params`; `conf` if not even the first step is found.
        """
        loader = self.loader
        given = reaches(loader.runtime_params or {}, path) if kind == "parameters" else 0
        if given == len(path):
            return "--params"
        best, place = 0, "conf"
        for files in loader.files(kind).values():
            for file in files:
                depth = reaches(read_file(file), path)
                # If several files contain equally many steps, the last one overrides the others.
                if depth and depth >= best:
                    best, place = depth, os.path.relpath(file, self.project_path)
        # A key that is missing belongs where the group is that lacks it.
        return "--params" if given > best else place

    def invalid(self, steps: Sequence[str], reason: str, kind: str = "parameters") -> InputError:
        """The error of a value that cannot be used.

        Args:
            steps: The steps of its key, see `place_of`.
            reason: What is wrong, and what is allowed.
            kind: Kind of configuration: its files begin with this.
        """
        return InputError(f"{self.place_of(steps, kind)}: {'.'.join(steps)}: {reason}")

    def find_changes(self) -> Changes:
        """The parameters given by `--params` that make a variant; see `study.variants.find_changes`.

        Raises:
            InputError: The parameters cannot be read.
        """
        given = self.loader.runtime_params
        if not given:
            return {}
        # The loader merges --params into what it reads. Another one would replace this one's resolvers.
        unchanged = copy(self.loader)
        unchanged.runtime_params = {}
        return find_changes(given, read_kind(unchanged, "parameters"))

    def find_experiments(self, reserved: Collection[str]) -> list[Experiment]:
        """Find the experiments among the parameters; see `study.groups.find_experiments`.

        Raises:
            InputError: The parameters cannot be read, or a group is neither shared nor an experiment.
        """
        groups = read_kind(self.loader, "parameters")
        if not groups:
            return []
        # Keep the parameters for the context: reading all files takes 0.1 s.
        self.loader["parameters"] = groups
        try:
            return find_experiments(groups, reserved)
        except ParameterError as error:
            # The name of an experiment can contain dots.
            steps = [error.key] if error.key in groups else error.key.split(".")
            raise InputError(f"{self.place_of(steps)}: {error}") from None


def check_environment(conf_files: ConfFiles) -> None:
    """Reject a configuration or an environment that has no folder.

    Raises:
        InputError: There is no such folder. The message names the environments that exist.
    """
    loader = conf_files.loader
    source, name = Path(loader.conf_source), loader.env or loader.default_run_env
    if source.is_file() or "://" in str(loader.conf_source):
        return  # Kedro can also read an archive or a remote folder, which are not checked.
    if not (source / loader.base_env).is_dir():
        raise InputError(
            f"{source} has no folder {loader.base_env}, which describes the experiments: run the "
            "command in the project's folder, or name its configuration by --conf-source"
        )
    with suppress(OSError):  # The name can be longer than that of a file.
        if (source / name).is_dir():
            return
    allowed = sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    raise InputError(
        f"{loader.env_option}: no environment {name!r} in {source}; allowed: {', '.join(allowed)}."
        f"{suggestion(name, allowed)}"
    )


def use(conf_files: ConfFiles) -> None:
    """Build the pipelines from this configuration when they are next asked for."""
    global _current
    _current = conf_files
    pipelines.configure("cnn_ablation.pipeline_registry")


def current() -> ConfFiles:
    """The configuration of the newest context; before there is one, that of the project itself.

    Raises:
        InputError: KEDRO_ENV names no environment.
    """
    if _current is not None:
        return _current
    loader = ProjectConfigLoader(
        conf_source=str(PROJECT_ROOT / "conf"), env=os.getenv("KEDRO_ENV"), **LOADER_ARGUMENTS
    )
    conf_files = ConfFiles(loader, PROJECT_ROOT)
    if loader.env:
        check_environment(conf_files)
    return conf_files


def read_kind(loader: ProjectConfigLoader, kind: str) -> dict[str, Any]:
    """The merged configuration of a kind, such as parameters; empty without a file of this kind."""
    try:
        return loader[kind]
    except MissingConfigException:
        return {}


_current: ConfFiles | None = None
