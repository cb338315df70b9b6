"""Datasets of trials."""

from pathlib import Path

from cnn_ablation.datasets import TrialsDataset
from tests.execution.test_engine import make_trial


def test_a_session_reads_its_own_trials_while_another_run_writes_others(tmp_path: Path) -> None:
    file = str(tmp_path / "trials.json")
    own, other, later = (TrialsDataset(filepath=file) for _ in range(3))
    own.save([make_trial(0), make_trial(1)])
    other.save([make_trial(2)])
    assert own.load() == [make_trial(0), make_trial(1)]
    assert later.load() == [make_trial(2)]
