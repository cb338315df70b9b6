"""Pipeline of evaluation."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.evaluation import nodes


def create_pipeline(*, pursued: bool = False) -> Pipeline:
    """Score trials and conditions, judge claims, choose the final model.

    Args:
        pursued: Whether seeds were added until the claims were decided. Each look at the claims then
            uses only a share of the significance level.
    """
    inputs = ["params:experiment", "trial_metrics", "histories", "data_summary", "params:evidence"]
    judging = (
        Node(
            nodes.judge_pursued_claims,
            inputs=[*inputs, "params:pursuit"],
            outputs="verdicts",
            name="judge_claims",
        )
        if pursued
        else Node(nodes.judge_claims, inputs=inputs, outputs="verdicts", name="judge_claims")
    )
    return Pipeline(
        [
            Node(
                nodes.collect_histories,
                inputs=["runs", "trial_store"],
                outputs="histories",
                name="collect_histories",
            ),
            Node(
                nodes.score_trials,
                inputs=["runs", "trial_store", "splits"],
                outputs="trial_metrics",
                name="score_trials",
            ),
            Node(
                nodes.confuse_classes,
                inputs=["runs", "trial_store", "splits", "data_summary"],
                outputs="confusion",
                name="confuse_classes",
            ),
            Node(
                nodes.score_classes,
                inputs="confusion",
                outputs="class_accuracy",
                name="score_classes",
            ),
            Node(
                nodes.summarize_conditions,
                inputs="trial_metrics",
                outputs="condition_summary",
                name="summarize_conditions",
            ),
            judging,
            Node(
                nodes.compare_pairs,
                inputs=["trial_metrics", "data_summary", "params:evidence"],
                outputs="pairs",
                name="compare_pairs",
            ),
            Node(
                nodes.reproduce_published,
                inputs=[
                    "trials",
                    "trial_metrics",
                    "data_summary",
                    "published_runs",
                    "published_tables",
                ],
                outputs="reproduction",
                name="reproduce_published",
            ),
            Node(
                nodes.choose_final_model,
                inputs="trial_metrics",
                outputs="final_model_choice",
                name="choose_final_model",
            ),
            Node(
                nodes.build_final_model,
                inputs=["final_model_choice", "trials", "trial_store", "data_summary"],
                outputs="final_model",
                name="build_final_model",
            ),
            Node(
                nodes.score_final_model,
                inputs=[
                    "final_model_choice",
                    "trials",
                    "trial_store",
                    "splits",
                    "data_summary",
                    "params:data",
                ],
                outputs="final_model_report",
                name="score_final_model",
            ),
        ],
        tags="evaluation",
    )
