"""The progress that a terminal shows during training."""

import io
from typing import Any

from rich.console import Console

from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.study.trials import Condition, Trial
from tests.conftest import JOURNAL_MODEL, QUICK_TRAINING

GREY = (1, 28, 28)


def make_trial(seed: int = 0, **changes: Any) -> Trial:
    model = JOURNAL_MODEL.model_copy(update=changes)
    return Trial(
        condition=Condition(name="dropout_0.5", levels={}, model=model, training=QUICK_TRAINING),
        seed=seed,
    )


def test_shows_trials_done_running_reused_and_failed_with_epoch_and_accuracy() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    progress = StudyProgress(console)
    with progress.shown():
        progress.reuse()
        progress.begin({str(seed): make_trial(seed) for seed in range(3)}, GREY)
        progress.epoch("0", {"epoch": 1, "val_accuracy": 81.25})
        progress.epoch("1", {"epoch": 1, "val_accuracy": 80.0})
        progress.end("1", "RuntimeError: no luck")
    shown = screen.getvalue()
    assert "1 of 3 trials, 1 running, 1 reused, 1 failed" in shown
    assert "dropout_0.5 seed 0" in shown
    assert "epoch 1: validation accuracy 81.25 %" in shown


def test_repeated_epochs_and_late_events_count_once() -> None:
    progress = StudyProgress(Console(file=io.StringIO()))
    progress.begin({"k": make_trial()}, GREY)
    for epoch in (1, 2, 1, 2):
        progress.epoch("k", {"epoch": epoch, "val_accuracy": 50.0})
    progress.end("k", "")
    progress.epoch("k", {"epoch": 2, "val_accuracy": 50.0})
    (study,) = progress._bars.tasks
    assert study.completed == study.total


def test_time_left_is_not_estimated_between_the_first_epochs_of_two_workers() -> None:
    times = [0.0]
    progress = StudyProgress(Console(file=io.StringIO()), clock=lambda: times[-1])
    progress.begin({str(seed): make_trial(seed) for seed in range(2)}, GREY)
    assert progress.time_left() == ""
    for seed in range(2):
        times.append(200.0 + seed)
        progress.epoch(str(seed), {"epoch": 1, "val_accuracy": 50.0})
    assert progress.time_left() == "about 4 min left"


def test_relative_cost_reflects_the_work() -> None:
    def cost(**changes: Any) -> float:
        return make_trial(**changes).relative_cost(GREY)

    assert cost(use_pooling=False) > 3 * cost()
    assert cost(conv_channels=[32]) < cost()
