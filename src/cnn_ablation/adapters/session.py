"""The session that `kedro run` runs in."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import DatasetNotFoundError
from kedro.pipeline import Pipeline
from kedro.pipeline.pipeline import OutputNotUniqueError

from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.terminal import print_while_possible
from cnn_ablation.errors import InputError, suggestion


class ProjectSession(KedroSession):
    """Kedro's session, which reports unknown names without a traceback."""

    @click_errors()
    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run pipelines as `KedroSession.run` does. The run goes on if nobody can read what it prints.

        Raises:
            InputError: There is no pipeline, node, tag, dataset or namespace of a requested name, the
                pipelines cannot run together, or nothing is left to run.
        """
        names = set(kwargs.get("pipeline_names") or ())
        if "pursuit" in names and len(names) > 1:
            raise InputError(
                "--pipelines: 'pursuit' chooses its seeds by itself, and cannot run together with other "
                "pipelines; allowed: pursuit alone"
            )
        try:
            with print_while_possible():
                result: dict[str, Any] = super().run(*args, **kwargs)
        except (ValueError, OutputNotUniqueError):
            # Kedro has no specific type of error for most of them.
            problem = wrong_selection(kwargs, pipelines)
            if problem is None:
                raise
            raise InputError(problem) from None
        except DatasetNotFoundError as error:
            if not kwargs.get("load_versions"):
                raise
            raise InputError(f"--load-versions: {error}") from None
        return result


def selectable(pipelines: Iterable[str]) -> list[str]:
    """Names of the pipelines that `--pipeline` selects."""
    return [name for name in pipelines if name != "__default__"]


def wrong_selection(options: Mapping[str, Any], pipelines: Mapping[str, Pipeline]) -> str | None:
    """Explain why the options of a run select nothing.

    Args:
        options: Arguments of `KedroSession.run`.
        pipelines: All pipelines by name.

    Returns:
        An error message that names the option, or None if there is something to run.
    """
    names = options.get("pipeline_names") or ["__default__"]
    for name in names:
        if name not in pipelines:
            allowed = selectable(pipelines)
            listed = ", ".join(allowed)
            return f"--pipeline: no pipeline {name!r}; allowed: {listed}.{suggestion(name, allowed)}"
    for one, other in combinations(names, 2):
        try:
            pipelines[one] + pipelines[other]
        except (ValueError, OutputNotUniqueError):
            return (
                f"--pipelines: {one!r} and {other!r} cannot run together, because they write the same "
                "results; allowed: one of them at a time"
            )
    pipeline = sum((pipelines[name] for name in names), Pipeline([]))
    nodes = {node.name for node in pipeline.nodes}
    tags = {tag for node in pipeline.nodes for tag in node.tags}
    namespaces = {
        ".".join(parts[:depth])
        for parts in {tuple(node.namespace.split(".")) for node in pipeline.nodes if node.namespace}
        for depth in range(1, len(parts) + 1)
    }
    filters = {}
    for option, argument, kind, known in (
        ("--tags", "tags", "tag", tags),
        ("--nodes", "node_names", "node", nodes),
        ("--from-nodes", "from_nodes", "node", nodes),
        ("--to-nodes", "to_nodes", "node", nodes),
        ("--from-inputs", "from_inputs", "dataset", pipeline.datasets()),
        ("--to-outputs", "to_outputs", "dataset", pipeline.datasets()),
        ("--namespaces", "namespaces", "namespace", namespaces),
    ):
        given = filters[argument] = options.get(argument) or ()
        for name in given:
            if name not in known:
                return f"{option}: no {kind} {name!r} in {', '.join(names)}.{suggestion(name, known)}"
    try:
        pipeline.filter(node_namespaces=filters.pop("namespaces"), **filters)
    except ValueError:
        return "the options together leave no node to run"
    return None
