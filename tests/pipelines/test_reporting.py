"""Nodes of reporting."""

import pytest

from cnn_ablation.errors import StudyError
from cnn_ablation.pipelines.registration.nodes import choose_winner
from cnn_ablation.pipelines.reporting.nodes import join_experiments
from cnn_ablation.report.chapters import COMMON


def test_experiments_come_one_after_the_other() -> None:
    tables = {"condition_summary": {"condition": ["a", "b"], "seeds": [3, 2], "sd": [0.1, None]}}
    chapter = {"tables": tables, **dict.fromkeys(COMMON)}
    joined = join_experiments(one=chapter, two=chapter)
    assert joined["experiment"].tolist() == ["one", "one", "two", "two"]
    assert joined["sd"].isna().tolist() == [False, True, False, True]
    assert joined.columns.tolist() == ["experiment", "condition", "seeds", "sd"]


def test_a_study_needs_all_its_experiments() -> None:
    for combine in (join_experiments, choose_winner):
        with pytest.raises(StudyError, match=r"Not run yet: two\..* --pipeline=two"):
            combine(one={"tables": {}}, two=None)
