"""The description of a run in MLflow: its command, its parameters and the commit of the project."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from omegaconf import OmegaConf
from pydantic import BaseModel

from cnn_ablation.dotted_keys import flatten
from cnn_ablation.provenance import git_commit
from cnn_ablation.secret_texts import hide_secrets
from cnn_ablation.study.experiment import ExperimentParameters

OPTIONS = {
    "env": "--env",
    "pipeline_names": "--pipeline",
    "tags": "--tags",
    "node_names": "--nodes",
    "from_nodes": "--from-nodes",
    "to_nodes": "--to-nodes",
    "from_inputs": "--from-inputs",
    "to_outputs": "--to-outputs",
    "namespaces": "--namespaces",
    "load_versions": "--load-versions",
}
"""Options of `kedro run`, by the key under which Kedro passes them to hooks. It passes neither
`--conf-source` nor `--runner-params`."""

_PLAIN = re.compile(r"[\w./+-]+")
_INVALID_IN_NAME = re.compile(r"[^\w.\- ]")
NO_SETTINGS = {"title", "question", "hypothesis", "claims", "study", "order", "figure"}
"""Keys of an experiment that change no trial."""

MAX_NAME = 250
"""Largest number of characters in the name of a parameter that MLflow accepts."""


def command_of(run_params: Mapping[str, Any]) -> str:
    """The `kedro run` command of a run, for a POSIX shell.

    Args:
        run_params: The options as Kedro passes them to hooks. Passwords and tokens in them are hidden.
    """
    words = ["kedro", "run"]
    for key, option in OPTIONS.items():
        if value := run_params.get(key):
            several = key == "pipeline_names" and len(value) > 1
            words.append(f"{option}{'s' if several else ''}={_listed(value)}")
    if (runner := runner_of(run_params)) != "SequentialRunner":
        words.append(f"--runner={runner}")
    given = dict(flatten(hide_secrets(run_params.get("runtime_params") or {})))
    if given:
        words.append("--params=" + ",".join(f"{key}={_as_yaml(value)}" for key, value in given.items()))
    return shlex.join(words)


def runner_of(run_params: Mapping[str, Any]) -> str:
    """Name of the class of the runner, which Kedro passes to hooks as the object's representation."""
    text = str(run_params.get("runner") or "SequentialRunner")
    found = re.search(r"(\w+) object at ", text)
    return found[1] if found else text


def parameters_of(pipeline: Pipeline, values: Mapping[str, Any]) -> dict[str, str]:
    """The settings that a pipeline reads, by dotted name, in the form in which MLflow tracks them.

    Claims and texts are left out, because the journal and the run's description have them, and so are
    experiments of the study that the pipeline does not run.

    Args:
        pipeline: The pipeline.
        values: All groups of parameters by name, validated.
    """
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    tags = {tag for node in pipeline.nodes for tag in node.tags}
    names = [name.removeprefix("params:") for name in pipeline.inputs() if name.startswith("params:")]
    groups = {}
    for name in sorted(names):
        value = values[name]
        if isinstance(value, ExperimentParameters):
            if name in tags:
                groups[name] = value.model_dump(mode="json", exclude=NO_SETTINGS)
        else:
            groups[name] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return {
        _INVALID_IN_NAME.sub("_", name)[:MAX_NAME]: _as_text(value)[:MAX_PARAM_VAL_LENGTH]
        for name, value in flatten(hide_secrets(groups))
        if value not in (None, {})
    }


def commit_of(project: Path) -> dict[str, str]:
    """The Git commit of the project's folder, as MLflow's tags; empty if no repository has the project.

    The tag `mlflow.source.git.dirty` is true if files differ from the commit.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_GIT_DIRTY

    found = git_commit(project / "pyproject.toml")
    if found is None:
        return {}
    commit, changed = found
    return {MLFLOW_GIT_COMMIT: commit, MLFLOW_GIT_DIRTY: str(changed).lower()}


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{version}" for name, version in value.items())
    return value if isinstance(value, str) else ",".join(value)


def _as_yaml(value: Any) -> str:
    """A value as `--params` reads it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        try:
            if OmegaConf.from_dotlist([f"x={value}"]).x == value:
                return value
        except ValueError:  # Not YAML; so it needs quotes.
            pass
    return _as_json(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
