"""The pipelines that `kedro run --pipeline=…` knows."""

from collections.abc import Iterable, Mapping, Sequence
from pkgutil import iter_modules

from kedro.pipeline import Pipeline

from cnn_ablation import pipelines as stages
from cnn_ablation.adapters import conf_files
from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.pipelines import (
    conclusions,
    data_ingestion,
    evaluation,
    model_construction,
    prediction,
    registration,
    reporting,
    training,
    visualization,
)
from cnn_ablation.study.groups import MAIN_STUDY, SHARED_GROUPS, Experiment, group_by_study

BUILT_IN = ("pursuit", "journal", "predict", "data_ingestion")
"""Names of the pipelines that exist whatever the experiments are."""

ARGUMENTS = ("contrasts", "looks", "notice", "runs_address")
"""Inputs of nodes that also take an input per experiment, by the experiment's name."""

STAGES = tuple(module.name for module in iter_modules(stages.__path__))
"""Names of the stages, which are tags of their nodes."""


@click_errors()
def register_pipelines() -> dict[str, Pipeline]:
    """Create a pipeline per experiment, one per study, and the built-in ones.

    `__default__` runs the main study and writes the journal. `pursuit` does the same with as many seeds
    as the claims need. `journal` writes the journal of all experiments that were run before, except
    those of other studies, whose pipelines write their own journals.
    `data_ingestion` prepares the images. `predict` classifies a folder of images.

    Raises:
        InputError: The configuration has a group of parameters that is neither shared nor an experiment,
            or a name that cannot be used.
    """
    experiments = conf_files.current().find_experiments(reserved={*BUILT_IN, *STAGES, *ARGUMENTS})
    studies = group_by_study(experiments)
    main = studies.pop(MAIN_STUDY)
    ingestion = data_ingestion.create_pipeline()
    alone = {experiment.name: _create_experiment(experiment) for experiment in experiments}
    journal = reporting.create_journal_pipeline(
        _chapters(each.name for each in experiments if each.study in (MAIN_STUDY, None))
    )
    pursued = {
        experiment.name: _create_experiment(experiment, pursued=True)
        for experiment in experiments
        if experiment.study == MAIN_STUDY
    }
    return {
        "__default__": ingestion + _create_study(MAIN_STUDY, main, alone, journal),
        "pursuit": ingestion + _create_study(MAIN_STUDY, main, pursued, journal, pursued=True),
        "journal": journal,
        "predict": prediction.create_pipeline(),
        "data_ingestion": ingestion,
        **{
            each.name: ingestion + alone[each.name] + _conclude_alone(each, main, studies)
            for each in experiments
        },
        **{
            study: ingestion
            + _create_study(study, names, alone, reporting.create_journal_pipeline(_chapters(names)))
            for study, names in studies.items()
        },
    }


def _create_experiment(experiment: Experiment, *, pursued: bool = False) -> Pipeline:
    pipeline = (
        model_construction.create_pipeline(pursued=pursued)
        + training.create_pipeline()
        + evaluation.create_pipeline()
        + visualization.create_pipeline()
        + reporting.create_results_pipeline()
    )
    inputs = pipeline.inputs()
    shared = {f"params:{group}" for group in SHARED_GROUPS} & inputs
    return Pipeline(
        pipeline,
        namespace=experiment.name,
        inputs={name for name in inputs if not name.startswith("params:")},
        outputs={"comparison_figure": f"{experiment.name}.{experiment.figure}_figure"},
        parameters={
            "params:experiment": f"params:{experiment.name}",
            **{name: name for name in shared},
        },
        tags=experiment.name,
    )


def _conclude_alone(
    experiment: Experiment, main: Sequence[str], studies: Mapping[str, Sequence[str]]
) -> Pipeline:
    """The conclusions from one experiment, whose claims share the level with those of its study."""
    name, study = experiment.name, experiment.study
    if study == MAIN_STUDY:
        return conclusions.create_pipeline([name], main)
    members = [name] if study is None else studies[study]
    return conclusions.create_pipeline([name], members, family=study or name)


def _create_study(
    study: str,
    members: Sequence[str],
    experiments: Mapping[str, Pipeline],
    journal: Pipeline,
    *,
    pursued: bool = False,
) -> Pipeline:
    """The experiments of a study, its conclusions, its journal, and the winner's registration.

    The study is a namespace of nodes, which Kedro-Viz draws as one box. It is a namespace of datasets
    only for what each study has of its own: journal, summary and winner. Those of the main study have no
    prefix.
    """
    if not members:
        return journal
    chapters = _chapters(members)
    ending = (
        reporting.create_summary_pipeline(chapters) + registration.create_pipeline(chapters) + journal
    )
    own = study != MAIN_STUDY
    inputs = ending.inputs()
    parameters = {name for name in inputs if name.startswith("params:")}
    ending = Pipeline(
        ending,
        namespace=study,
        inputs=inputs - parameters,
        parameters=parameters,
        prefix_datasets_with_namespace=own,
    )
    verdicts = conclusions.create_pipeline(
        members, members, family=study if own else None, pursued=pursued
    )
    body = sum((experiments[name] for name in members), verdicts)
    return Pipeline(body, namespace=study, prefix_datasets_with_namespace=False) + ending


def _chapters(experiments: Iterable[str]) -> dict[str, str]:
    return {name: f"{name}.chapter" for name in experiments}
