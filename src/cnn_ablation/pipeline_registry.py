"""The pipelines that `kedro run --pipeline=…` knows."""

from kedro.pipeline import Pipeline

from cnn_ablation.pipelines import (
    data_ingestion,
    evaluation,
    model_construction,
    prediction,
    registration,
    reporting,
    training,
    visualization,
)

JOURNAL = ("dropout", "batchnorm", "conv_depth", "pooling", "interactions", "combined")
"""The journal's experiments."""

STUDY = (*JOURNAL, "overall")
"""What a plain `kedro run` runs: those, and their configurations side by side."""

EXPERIMENTS = (*STUDY, "combined_as_published")
"""All experiments. A name here, and its parameters in conf/base/parameters_<name>.yml, make one."""

SHARED_INPUTS = {
    *("splits", "data_summary", "trial_store", "engine"),
    *("published_runs", "published_tables"),
}
SHARED_PARAMETERS = {
    *("params:data", "params:baseline", "params:seeds", "params:execution"),
    *("params:evidence", "params:pursuit"),
}


def register_pipelines() -> dict[str, Pipeline]:
    """A pipeline per experiment, and those of the whole study.

    `__default__` is the study with its journal, `pursuit` the same with as many seeds as its claims
    need, `journal` the journal alone, of what was run before, `data_ingestion` the data alone. `predict`
    classifies a folder of images.
    """
    ingestion = data_ingestion.create_pipeline()
    experiments = {name: _experiment(name, pursued=False) for name in EXPERIMENTS}
    journal = reporting.create_journal_pipeline(EXPERIMENTS)
    ending = reporting.create_summary_pipeline(STUDY) + registration.create_pipeline(STUDY) + journal
    return {
        "__default__": sum((experiments[name] for name in STUDY), ingestion) + ending,
        "pursuit": sum((_experiment(name, pursued=True) for name in STUDY), ingestion) + ending,
        "journal": journal,
        "predict": prediction.create_pipeline(),
        "data_ingestion": ingestion,
        **{name: ingestion + pipeline for name, pipeline in experiments.items()},
    }


def _experiment(name: str, *, pursued: bool) -> Pipeline:
    stages = (
        model_construction.create_pipeline(pursued=pursued)
        + training.create_pipeline()
        + evaluation.create_pipeline(pursued=pursued)
        + visualization.create_pipeline()
        + reporting.create_chapter_pipeline()
    )
    inputs = stages.inputs()
    return Pipeline(
        stages,
        namespace=name,
        inputs=SHARED_INPUTS & inputs,
        parameters={
            "params:experiment": f"params:{name}",
            **{parameter: parameter for parameter in SHARED_PARAMETERS & inputs},
        },
        tags=name,
    )
