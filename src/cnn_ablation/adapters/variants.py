"""The folder of results that a run has if its settings differ from conf; see `study.variants`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.config_loader import RESULTS
from cnn_ablation.datasets.chapters import read_results
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.errors import InputError, StudyError, suggestion
from cnn_ablation.study.variants import Changes, dotted, name_variant

if TYPE_CHECKING:
    from cnn_ablation.adapters.context import ProjectContext

FOLDER = "variants"
"""Folder of all variants, beside the folders of conf."""

CONF = "conf"
"""Name of the results of conf in a comparison."""

TAG = "variant"
"""Tag of a variant's runs in MLflow, and the key of its name among the globals."""


def variant_globals(folders: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """The globals of a variant, whose folders of results are below `variants/<name>`.

    Args:
        folders: The globals of conf, in which the reports are in `data/08_reporting`, for example.
        changes: See `study.variants.find_changes`.
    """
    name = name_variant(changes)
    paths = {key: Path(folders[key]) for key in RESULTS if key in folders}
    own = {key: (path.parent / FOLDER / name / path.name).as_posix() for key, path in paths.items()}
    return {**folders, **own, TAG: name}


def stored_variants(reports: Path) -> dict[str, Path]:
    """The folders of reports of all variants by name, beside a folder of reports of conf."""
    folders = sorted((reports.parent / FOLDER).glob(f"*/{reports.name}"))
    return {folder.parent.name: folder for folder in folders}


def find_run(name: str, reports: Path) -> Path:
    """The folder of reports of a run.

    Args:
        name: `conf`; the name of a variant, or a part of it; or a folder of reports.
        reports: The folder of reports of conf.

    Raises:
        InputError: There is no such run, or there are several.
    """
    if name == CONF:
        return reports
    variants = stored_variants(reports)
    allowed = f"allowed: {', '.join([CONF, *variants])}, or a folder of reports"
    if not name:
        raise InputError(f"the name of a run is empty; {allowed}")
    matches = [name] if name in variants else [other for other in variants if name in other]
    if len(matches) == 1:
        return variants[matches[0]]
    if matches:
        raise InputError(f"{name!r} is a part of several names: {', '.join(matches)}")
    try:
        if Path(name).is_dir():
            return Path(name)
    except OSError as error:
        # The name is longer than that of a file, or the folder is another user's.
        raise InputError(f"no run {name!r}, nor such a folder: {error.strerror}; {allowed}") from None
    raise InputError(f"no run {name!r}; {allowed}.{suggestion(name, [CONF, *variants])}")


def read_chapters(reports: Path) -> dict[str, Any]:
    """The chapters in a folder of reports, by experiment.

    Raises:
        InputError: There are none.
        StudyError: One is damaged, or another version of this package has written it.
    """
    chapters = {file.parent.name: read_results(file) for file in sorted(reports.glob("*/chapter.json"))}
    if not chapters:
        raise InputError(f"{reports} has no chapter of an experiment: run an experiment first")
    return chapters


def write_params(file: Path, changes: Changes, env: str | None = None) -> None:
    """Write a variant's parameters as a file for `kedro run --config`.

    Args:
        file: The file. Its folder is created.
        changes: See `study.variants.find_changes`.
        env: The environment of conf that was given, without which the results would go elsewhere; None
            if none was.
    """
    params: dict[str, Any] = {}
    for (*groups, last), value in changes.items():
        group = params
        for step in groups:
            group = group.setdefault(step, {})
        group[last] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    options = {"env": env, "params": params} if env else {"params": params}
    text = yaml.safe_dump({"run": options}, allow_unicode=True, sort_keys=False)
    file.write_text(text, encoding="utf-8")


class VariantHooks:
    """Say where a variant's results go, and note there and in MLflow what has changed."""

    @hook_impl
    def after_context_created(self, context: "ProjectContext") -> None:
        """Remember the context."""
        self._context = context

    @hook_impl(trylast=True)
    @click_errors()
    def before_pipeline_run(self) -> None:
        """Write a variant's parameters to a file in its folder, and tag the run in MLflow."""
        import mlflow

        loader = self._context.config_loader
        globals_ = loader["globals"]
        folder = Path(globals_["reports"]).parent
        if not self._context.changes:
            if loader.own_place:
                click.echo(
                    "The settings are not those of the project's conf: "
                    f"the results go to {folder.as_posix()}"
                )
            return
        changed = ", ".join(map(dotted, self._context.changes))
        click.echo(f"Settings differ from conf ({changed}): the results go to {folder.as_posix()}")
        file = self._context.project_path / folder / "run.yml"
        try:
            write_params(file, self._context.changes, loader.env)
        except OSError as error:
            raise StudyError(f"{file} cannot be written: {error.strerror}") from None
        if mlflow.active_run() is not None:
            tracking.attempt(lambda: mlflow.set_tag(TAG, globals_[TAG]), None)

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        """Say how to compare the variant with conf."""
        chapters = any(name.endswith(".chapter") for name in pipeline.all_outputs())
        if not self._context.changes or not chapters:
            return
        loader = self._context.config_loader
        name = loader["globals"][TAG]
        env = f" --env={loader.env}" if loader.env else ""
        click.echo(f"To compare with the results of conf: kedro trials compare conf {name}{env}")
