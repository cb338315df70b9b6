"""Pipeline of evaluation."""

from kedro.pipeline import Node, Pipeline

from cnn_ablation.pipelines.evaluation import nodes


def create_pipeline() -> Pipeline:
    """Score trials and conditions, and choose the final model."""
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
            Node(
                nodes.analyze_noise,
                inputs=["runs", "trial_store", "trial_metrics"],
                outputs=["image_noise", "noise_budget"],
                name="analyze_noise",
            ),
            Node(
                nodes.compare_pairs,
                inputs=[
                    "trials",
                    "trial_metrics",
                    "data_summary",
                    "params:evidence",
                    "params:evaluation",
                ],
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
