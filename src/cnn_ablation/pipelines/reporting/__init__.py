"""Reporting: an experiment's chapter, the study's summary, the journal."""

from cnn_ablation.pipelines.reporting.pipeline import (
    create_chapter_pipeline,
    create_journal_pipeline,
    create_summary_pipeline,
)

__all__ = ["create_chapter_pipeline", "create_journal_pipeline", "create_summary_pipeline"]
