"""Hooks around a run: checks before it, and a report of its results after it."""

import errno
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline

from cnn_ablation.adapters import checks, relocation, tracking_store
from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.conf_files import check_environment
from cnn_ablation.adapters.context import ProjectContext
from cnn_ablation.errors import AblationError, InputError, ParameterError, StudyError, one_line
from cnn_ablation.study.experiment import ExperimentParameters, expand_trials
from cnn_ablation.study.groups import SHARED_GROUPS
from cnn_ablation.study.parameters import ExecutionParameters, SeedParameters
from cnn_ablation.study.trials import Trial, conditions_by_name

if TYPE_CHECKING:
    from cnn_ablation.base_parameters import ImageShape
    from cnn_ablation.execution.engine import Engine

logger = logging.getLogger(__name__)

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""Error numbers of a full or read-only disk, or of a folder without permission."""

STORED_IS_KEPT = "Stored trials are kept: correct this, then run the same command again"


class StudyHooks:
    """Report errors before anything is trained, and print the results at the end."""

    @hook_impl(tryfirst=True)
    @click_errors()
    def after_context_created(self, context: ProjectContext) -> None:
        """Check the environment, the tracking server and the catalog."""
        self._context = context
        self._engine: Engine | None = None
        check_environment(context.conf_files)
        checks.warn_of_unread_files(context.conf_files)
        checks.check_globals(context.conf_files)
        checks.check_catalog_entries(context.conf_files)
        tracking_store.prepare(context.conf_files)

    @hook_impl(tryfirst=True)
    @click_errors()
    def after_catalog_created(self, catalog: DataCatalog) -> None:
        """Create the datasets of the catalog."""
        checks.create_datasets(self._context.conf_files, catalog, catalog.keys())

    @hook_impl(tryfirst=True)
    @click_errors()
    def before_pipeline_run(
        self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Resolve every trial of the run and build its network, without computing anything."""
        if run_params.get("only_missing_outputs"):
            raise InputError(
                "--only-missing-outputs: not supported, because existing results can be those of other "
                "settings; leave it out. Trained trials are reused anyway"
            )
        relocation.check_place(self._context.conf_files)
        checks.check_untracked_pipelines(self._context.conf_files, pipelines)
        # The engine comes below. Kedro would warn that it replaces a dataset.
        checks.create_datasets(self._context.conf_files, catalog, pipeline.datasets() - {"engine"})
        checks.warn_of_unused_entries(self._context.conf_files, catalog, pipelines)
        checks.check_readable(self._context.conf_files, pipeline, catalog)
        if "images" in pipeline.inputs():
            self._describe_images(catalog)
        checks.check_results(pipeline, catalog, pipelines)
        checks.check_settings(pipeline, catalog)
        checks.check_places(self._context.conf_files, pipeline, catalog)
        self._check_groups(self._context.params)
        if not any(node.tags & {"model_construction", "training"} for node in pipeline.nodes):
            return
        logger.info("Loading PyTorch and checking the networks of %s", ", ".join(_experiments(pipeline)))
        self._check_execution(catalog.load("params:execution"))
        described = self._describe_images(catalog)
        trials = {
            name: self._check_experiment(name, catalog, described) for name in _experiments(pipeline)
        }
        training = [_innermost(node) for node in pipeline.nodes if "training" in node.tags]
        if "engine" in pipeline.inputs():
            from cnn_ablation.execution.engine import Engine
            from cnn_ablation.execution.progress import StudyProgress

            self._engine = Engine(StudyProgress())
            self._engine.open_ended = not isinstance(catalog.load("params:seeds"), SeedParameters)
            self._engine.planned = [trial for name in training for trial in trials[name]]
            # The engine is not described in the catalog, because it is not data and ends with the run.
            catalog["engine"] = MemoryDataset(self._engine, copy_mode="assign")

    @hook_impl(trylast=True)
    @click_errors()
    def on_pipeline_error(self, error: Exception) -> None:
        """Stop the workers. Raise the cause of Kedro's error instead if a user can correct it."""
        self._close_engine()
        for cause in _causes(error):
            if isinstance(cause, ParameterError):
                raise self._invalid(cause.key, cause.reason) from None
            if isinstance(cause, AblationError):
                raise cause from None
        for cause in _causes(error):
            file = re.search(r"^Failed while loading data .*?filepath=(?:\w+\()?'?([^,)']+)", str(cause))
            if isinstance(cause, DatasetError) and file is not None:
                raise StudyError(
                    f"{file[1]} cannot be read: {one_line(cause.__cause__ or cause)}. Restore the file, "
                    "or start the run at an earlier node that writes it"
                ) from None
            if isinstance(cause, OSError) and cause.errno in CANNOT_WRITE:
                raise StudyError(f"Results cannot be written: {cause}. {STORED_IS_KEPT}") from None
        for cause in _causes(error):
            saved = re.search(r"^Failed while saving data to dataset ([\w.]+)", str(cause))
            if isinstance(cause, DatasetError) and saved is not None:
                raise StudyError(
                    f"A result cannot be written as {saved[1]}: {one_line(cause.__cause__ or cause)}. "
                    f"The entry of this type in the catalog may need another one. {STORED_IS_KEPT}"
                ) from None

    @hook_impl(trylast=True)
    @click_errors()
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Print a table per evaluated experiment, and the paths of the run's results.

        Raises:
            StudyError: Trials have failed. The command then ends with an error.
        """
        from cnn_ablation.report.summary_table import print_summary

        self._close_engine()
        outputs = pipeline.all_outputs()
        reports = self._context.config_loader["globals"]["reports"]
        evaluated = [name for name in _experiments(pipeline) if f"{name}.condition_summary" in outputs]
        claims = 0
        for name in evaluated:
            title = catalog.load(f"params:{name}").title
            summary = catalog.load(f"{name}.condition_summary")
            judged = f"conclusions.{name}.verdicts" in outputs
            verdicts = catalog.load(f"conclusions.{name}.verdicts") if judged else None
            claims += 0 if verdicts is None else len(verdicts)
            print_summary(title, summary, verdicts, f"{reports}/{name}")
        if claims and (judged_alone := _judged_alone(pipeline)):
            click.echo(
                "These verdicts are preliminary. The level allows for all claims of the study, but the "
                f"study's other experiments ({', '.join(judged_alone)}) also help to estimate spreads."
            )
        for name in sorted(outputs):
            *study, last = name.split(".")
            if last == "journal_html":
                place = "/".join([reports, *study])
                click.echo(f"Journal: {place}/journal.html, and journal.md beside it")
        if "predictions" in outputs:
            classified, skipped = (len(catalog.load(name)) for name in ("predictions", "skipped_files"))
            click.echo(f"Predictions: {reports}/predictions, as a table and a contact sheet")
            click.echo(f"Images classified: {classified}; files skipped: {skipped}")
            if skipped:
                click.echo(f"Reasons: {reports}/predictions/skipped_files.csv")
        if "samples_figure" in outputs and not evaluated:
            click.echo(f"Images by class: {reports}/samples.png")
        failed = [
            f"{name}: {run.condition} seed {run.seed}: {run.error}"
            for name in _experiments(pipeline)
            if f"{name}.runs" in outputs
            for run in catalog.load(f"{name}.runs").itertuples()
            if run.status == "failed"
        ]
        if failed:
            count = "1 trial has" if len(failed) == 1 else f"{len(failed)} trials have"
            raise StudyError("\n  ".join([f"{count} failed; the same command tries again:", *failed]))

    def _check_groups(self, groups: Collection[str]) -> None:
        """Reject parameters without one of the groups that all experiments share."""
        for group in SHARED_GROUPS:
            if group not in groups:
                raise self._invalid(group, "is missing; conf/base/parameters.yml should have it")

    def _check_execution(self, execution: ExecutionParameters) -> None:
        """Reject an unavailable device or layers, and warn of a precision that is slow on the device."""
        from cnn_ablation.training.devices import check_layers, multiplies_bf16, resolve_device

        here = execution.scheduler is None
        try:
            device = resolve_device(execution.device, here=here)
            if here:
                check_layers(execution.layers, device)
        except ParameterError as error:
            raise self._invalid(error.key, error.reason) from None
        if here and execution.precision == "bf16" and not multiplies_bf16(device):
            key = "execution.precision"
            logger.warning(
                "%s: %s: this machine has no instructions for bf16, which therefore takes several times "
                "as long as fp32; auto selects the faster one",
                self._context.place_of(key),
                key,
            )

    def _close_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()

    def _describe_images(self, catalog: DataCatalog) -> "tuple[ImageShape, int]":
        """Shape of the images, and number of classes."""
        from cnn_ablation.datasets import ImageSetDataset

        try:
            dataset = catalog.get("images")
            if not isinstance(dataset, ImageSetDataset):
                allowed = ", ".join(
                    f"cnn_ablation.datasets.{kind.__name__}" for kind in ImageSetDataset.__subclasses__()
                )
                raise StudyError(f"type: no set of labelled images; allowed: {allowed}")
            return dataset.describe_images()
        except StudyError as error:
            place = self._context.place_of("images", "catalog")
            raise InputError(f"{place}: images: {error}") from None

    def _check_experiment(
        self, name: str, catalog: DataCatalog, described: "tuple[ImageShape, int]"
    ) -> list[Trial]:
        """Resolve the experiment's trials, and check that their settings fit the images."""
        import torch

        experiment: ExperimentParameters = catalog.load(f"params:{name}")
        seeds = catalog.load("params:seeds")
        if not isinstance(seeds, SeedParameters):  # A pursuit starts with its first number of seeds.
            pursuit = catalog.load("params:pursuit")
            seeds = SeedParameters(pursuit.seeds[0])
            self._check_plan("pursuit.seeds", pursuit.seeds[-1])
        elif experiment.seeds is not None:
            seeds = experiment.seeds
            self._check_plan(f"{name}.seeds", len(seeds.root))
        else:
            self._check_plan("seeds", len(seeds.root))
        try:
            trials = expand_trials(experiment, catalog.load("params:baseline"), seeds)
        except ParameterError as error:
            raise self._invalid(f"{name}.{error.key}", error.reason) from None
        for condition in conditions_by_name(trials).values():
            try:
                # The meta device needs neither time nor memory for weights.
                with torch.device("meta"):
                    condition.model.build(*described)
                for augmentation in condition.training.augmentation:
                    augmentation.check(described[0])
            except ParameterError as error:
                origin = experiment.origin(condition.name, error.key)
                key = f"{name}.{origin}" if origin else f"baseline.{error.key}"
                raise self._invalid(key, f"{condition.name}: {error.reason}") from None
            # PyTorch raises these if a number of weights does not fit its integers.
            except (RuntimeError, TypeError, OverflowError) as error:
                reason = f"no network can be built from these settings of the model: {one_line(error)}"
                raise self._invalid(name, f"{condition.name}: {reason}") from None
        return trials

    def _check_plan(self, key: str, seeds: int) -> None:
        """Reject more seeds than the study may ever have."""
        planned = self._context.params["evidence"].planned_seeds
        if seeds > planned:
            raise self._invalid(
                "evidence.planned_seeds",
                f"{planned} is less than the {seeds} seeds in {key}; allowed: at least {seeds}",
            )

    def _invalid(self, key: str, reason: str) -> InputError:
        return InputError(f"{self._context.place_of(key)}: {key}: {reason}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and the errors that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _judged_alone(pipeline: Pipeline) -> list[str]:
    """Experiments of the same study as those that the pipeline judges, which it does not judge."""
    outputs = pipeline.all_outputs()
    found = (re.fullmatch(r"conclusions\.(.+)\.contrasts", name) for name in outputs)
    listed = sorted(match[1] for match in found if match)
    unjudged = [name for name in listed if f"conclusions.{name}.verdicts" not in outputs]
    return unjudged if len(unjudged) < len(listed) else []


def _experiments(pipeline: Pipeline) -> list[str]:
    """Names of the experiments that have nodes in the pipeline, in the registry's order."""
    # Nodes of an experiment have its name as tag; those that conclude from it are in another namespace.
    experiments = {name for node in pipeline.nodes if (name := _innermost(node)) in node.tags}
    return [name for name in pipelines if name in experiments]


def _innermost(node: Node) -> str:
    """The innermost namespace of a node: in the pipeline of a study, the study's name precedes it."""
    return (node.namespace or "").rpartition(".")[2]
