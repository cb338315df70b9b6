"""Pipeline of conclusions."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.conclusions import nodes

NAMESPACE = "conclusions"
"""Namespace of the nodes, which belong to several experiments."""


def create_pipeline(
    judged: Sequence[str],
    study: Sequence[str],
    *,
    family: str | None = None,
    pursued: bool = False,
) -> Pipeline:
    """Judge the claims of some experiments, draw them, and write the experiments' chapters.

    Args:
        judged: Names of the experiments.
        study: Names of all experiments of their study, whose claims share the significance level.
        family: Prefix of the datasets with the contrasts of the study and with the looks at them; None
            for the main study.
        pursued: Whether seeds were added until the claims were decided.
    """
    inputs = {
        "contrasts": "contrasts",
        "looks": "looks",
        "evidence": "params:evidence",
        **{name: f"{name}.results" for name in judged},
    }
    outputs = [f"{name}.verdicts" for name in judged]
    # Names of nodes must differ between pipelines that `kedro run --pipelines` joins.
    judge = f"judge_claims_{judged[0]}" if len(judged) == 1 else "judge_claims"
    judging = (
        Node(
            nodes.judge_pursued_claims,
            inputs={**inputs, "pursuit": "params:pursuit"},
            outputs=outputs,
            name=judge,
        )
        if pursued
        else Node(nodes.judge_claims, inputs=inputs, outputs=outputs, name=judge)
    )
    chapters = [node for name in judged for node in _conclude(name)]
    listing = [
        Node(
            nodes.list_contrasts,
            inputs=[f"params:{name}", "params:baseline"],
            outputs=f"{name}.contrasts",
            name=f"list_contrasts_{name}",
        )
        for name in study
    ]
    joining = Node(
        nodes.join_contrasts,
        inputs={name: f"{name}.contrasts" for name in study},
        outputs="contrasts",
        name="join_contrasts" if family is None else f"join_contrasts_{family}",
    )
    pipeline = Pipeline([*listing, joining, judging, *chapters], tags=NAMESPACE)
    given = pipeline.inputs()
    prefix = "" if family is None else f"{family}."
    return Pipeline(
        pipeline,
        namespace=NAMESPACE,
        inputs={
            name: f"{prefix}{name}" if name == "looks" else name
            for name in given
            if not name.startswith("params:")
        },
        parameters={name for name in given if name.startswith("params:")},
        outputs={
            "contrasts": f"{prefix}contrasts",
            **{f"{name}.chapter": f"{name}.chapter" for name in judged},
        },
    )


def _conclude(name: str) -> list[Node]:
    return [
        Node(
            nodes.plot_effects,
            inputs=[f"{name}.results", f"{name}.verdicts"],
            outputs=f"{name}.claims_figure",
            name=f"plot_effects_{name}",
            tags=name,
        ),
        Node(
            nodes.write_chapter,
            inputs=[
                f"{name}.results",
                f"{name}.verdicts",
                f"{name}.claims_figure",
                "params:evidence",
                "contrasts",
            ],
            outputs=f"{name}.chapter",
            name=f"write_chapter_{name}",
            tags=name,
        ),
    ]
