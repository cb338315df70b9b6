"""The progress that a terminal shows during training."""

import heapq
import io
import re
from typing import Any

import pytest
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


def row(epoch: int, accuracy: float = 50.0, seconds: float = 1.0) -> dict[str, float]:
    return {"epoch": epoch, "val_accuracy": accuracy, "seconds": seconds}


def test_shows_trials_done_running_reused_and_failed_with_epoch_and_accuracy() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    progress = StudyProgress(console)
    with progress.shown():
        progress.reuse()
        progress.begin({str(seed): make_trial(seed) for seed in range(3)}, GREY)
        progress.epoch("0", row(1, 81.25))
        progress.epoch("1", row(1, 80.0))
        progress.end("1", "RuntimeError: no luck")
    shown = screen.getvalue()
    assert "0 of 3 trials, compiling loops and training the first epochs, 1 reused" in shown
    assert "1 of 3 trials, 1 running, 1 reused, 1 failed" in shown
    assert "dropout_0.5 seed 0" in shown
    assert "epoch 1: validation accuracy 81.25 %" in shown


def test_names_are_text_and_no_markup() -> None:
    screen = io.StringIO()
    progress = StudyProgress(Console(file=screen, force_terminal=True, width=160))
    trial = make_trial()
    named = trial.condition.model_copy(update={"name": "a[/b] [red]"})
    trial = trial.model_copy(update={"condition": named})
    with progress.shown():
        progress.begin({"k": trial}, GREY)
        progress.epoch("k", row(1))
    assert "a[/b] [red] seed 0" in screen.getvalue()


def test_repeated_epochs_and_late_events_count_once() -> None:
    progress = StudyProgress(Console(file=io.StringIO()))
    progress.begin({"k": make_trial()}, GREY)
    for epoch in (1, 2, 1, 2):
        progress.epoch("k", row(epoch))
    progress.end("k", "")
    progress.epoch("k", row(2))
    (study,) = progress._bars.tasks
    assert study.completed == study.total


def test_time_left_does_not_include_compilation_and_counts_places() -> None:
    times = [0.0]
    progress = StudyProgress(Console(file=io.StringIO()), clock=lambda: times[-1])
    progress.begin({str(seed): make_trial(seed) for seed in range(4)}, GREY, places=2)
    assert progress.time_left() == "", "no epoch has been measured"
    for seed in range(2):
        times.append(200.0 + seed)
        progress.epoch(str(seed), row(1, seconds=90.0))
    assert progress.time_left() == "about 5 min left", "an epoch of two trials and two of the others"
    times.append(246.0)
    assert progress.time_left() == "about 4 min left"


def test_a_trial_that_starts_again_does_not_distort_the_estimate() -> None:
    times = [0.0]
    progress = StudyProgress(Console(file=io.StringIO()), clock=lambda: times[-1])
    progress.begin({str(seed): make_trial(seed) for seed in range(2)}, GREY)
    for time, epoch in ((90.0, 1), (900.0, 1), (990.0, 2)):
        times.append(time)
        progress.epoch("0", row(epoch, seconds=90.0))
    progress.end("0", "")
    assert progress.time_left() == "about 3 min left"


STUDY = {
    # Seconds of an epoch at the journal's study on two cores, and evaluations at the end in epochs.
    "no_pooling": (make_trial(use_pooling=False), 137.5),
    "baseline": (make_trial(), 21.0),
    "no_normalization": (make_trial(use_batch_norm=False), 18.1),
    "shallow": (make_trial(conv_channels=[32]), 15.6),
    "deep": (make_trial(conv_channels=[32, 64, 128]), 26.5),
    "wide": (make_trial(conv_channels=[64, 128], fc_units=[512, 256]), 70.0),
    "small": (make_trial(fc_units=[256, 128]), 21.7),
}
COMPILATION, LAST_EVALUATIONS, EPOCHS = 40.0, 1.04, QUICK_TRAINING.epochs


@pytest.mark.parametrize("conditions", [list(STUDY), ["baseline"], ["shallow", "deep"]])
def test_after_a_tenth_the_time_left_is_right_within_a_factor_of_one_and_a_half(
    conditions: list[str],
) -> None:
    """Replay a study with measured times, on two workers that compile each condition once."""
    times = [0.0]
    progress = StudyProgress(Console(file=io.StringIO()), clock=lambda: times[-1])
    trials = {
        f"{name} {seed}": (*STUDY[name], compiled)
        for name in conditions
        for seed, compiled in enumerate((False, False, True, True, True))
    }
    ordered = sorted(trials, key=lambda key: trials[key][0].relative_cost(GREY), reverse=True)
    progress.begin(
        {key: trials[key][0] for key in ordered}, GREY, places=2, last_evaluations=LAST_EVALUATIONS
    )
    free = [0.0, 0.0]
    events: list[tuple[float, str, int]] = []
    for key in ordered:
        _, seconds, compiled = trials[key]
        now = free[0] + (0 if compiled else COMPILATION)
        for epoch in range(1, EPOCHS + 1):
            now += seconds * (1 if epoch < EPOCHS else 1 + 0.8 * LAST_EVALUATIONS)
            events.append((now, key, epoch))
        now += 0.2 * LAST_EVALUATIONS * seconds
        events.append((now, key, 0))
        heapq.heapreplace(free, now)
    end = max(free)
    checked = 0
    for now, key, epoch in sorted(events):
        times.append(now)
        if epoch:
            progress.epoch(key, row(epoch, seconds=trials[key][1]))
        else:
            progress.end(key, "")
        left = progress.time_left()
        if 0.1 * end < now and end - now > 120:
            minutes = re.search(r"about (\d+) min", left)
            assert minutes, left
            assert 1 / 1.5 < 60 * int(minutes[1]) / (end - now) < 1.5
            checked += 1
    assert checked


def test_relative_cost_reflects_the_work() -> None:
    def cost(**changes: Any) -> float:
        return make_trial(**changes).relative_cost(GREY)

    assert cost(use_pooling=False) > 3 * cost()
    assert cost(conv_channels=[32]) < cost()
