"""The pipelines that `kedro run --pipeline=…` knows."""

from kedro.pipeline import Pipeline

from cnn_ablation.pipelines import (
    data_ingestion,
    evaluation,
    model_construction,
    reporting,
    training,
    visualization,
)

STUDY = ("dropout", "batchnorm", "conv_depth", "pooling", "interactions", "combined")
"""The journal's experiments: what a plain `kedro run` runs."""

EXPERIMENTS = (*STUDY, "combined_as_published")
"""All experiments. A name here, and its parameters in conf/base/parameters_<name>.yml, make one."""

SHARED_INPUTS = {"splits", "data_summary", "trial_store", "engine"}
SHARED_PARAMETERS = {"params:data", "params:baseline", "params:seeds", "params:execution"}


def register_pipelines() -> dict[str, Pipeline]:
    """A pipeline per experiment, data ingestion alone, and the whole study as `__default__`."""
    ingestion = data_ingestion.create_pipeline()
    stages = (
        model_construction.create_pipeline()
        + training.create_pipeline()
        + evaluation.create_pipeline()
        + visualization.create_pipeline()
    )
    experiments = {
        name: Pipeline(
            stages,
            namespace=name,
            inputs=SHARED_INPUTS,
            parameters={
                "params:experiment": f"params:{name}",
                **{parameter: parameter for parameter in SHARED_PARAMETERS},
            },
            tags=name,
        )
        for name in EXPERIMENTS
    }
    study = sum((experiments[name] for name in STUDY), ingestion)
    return {
        "__default__": study + reporting.create_pipeline(STUDY),
        "data_ingestion": ingestion,
        **{name: ingestion + pipeline for name, pipeline in experiments.items()},
    }
