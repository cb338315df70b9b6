"""Reporting: an experiment's results, the study's summary, the journal."""

from cnn_ablation.pipelines.reporting.pipeline import (
    create_journal_pipeline,
    create_results_pipeline,
    create_summary_pipeline,
)

__all__ = ["create_journal_pipeline", "create_results_pipeline", "create_summary_pipeline"]
