"""Content of the figures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from cnn_ablation.base_parameters import Parameters
from cnn_ablation.datasets import FigureDataset
from cnn_ablation.evidence.scores import summarize_conditions
from cnn_ablation.report.figures import (
    Claims,
    Comparison,
    ConfusionMatrix,
    Drawing,
    LearningCurves,
    Samples,
)
from cnn_ablation.report.figures.claims import explain_marks
from cnn_ablation.report.figures.contact_sheet import shorten
from cnn_ablation.report.figures.style import axis_label, level_text


def trial_metrics(accuracies: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "condition": condition,
            "seed": seed,
            "key": "",
            "status": "diverged" if np.isnan(accuracy) else "finished",
            "total_params": 100,
            "mean_val_accuracy": accuracy,
        }
        for condition, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    )


def compare(levels: dict[str, dict[str, Any]], accuracies: dict[str, list[float]]) -> Figure:
    trials = trial_metrics(accuracies)
    return Comparison("Title", "Question?", levels, trials, summarize_conditions(trials)).draw()


def texts(figure: Figure) -> str:
    return "\n".join(
        str(artist.get_text()) for artist in figure.findobj(Text) if isinstance(artist, Text)
    )


THREE_SEEDS = {"a": [91.8, 92.1, 91.6], "b": [92.3, 92.0, 92.2]}


@pytest.mark.parametrize(
    "levels",
    [
        {"a": {"dropout_rate": 0.0}, "b": {"dropout_rate": 0.5}},
        {"a": {"use_pooling": True}, "b": {"use_pooling": False}},
        {"a": {"conv_channels": [32]}, "b": {"conv_channels": [32, 64]}},
        {"a": {}, "b": {}},
        {
            "a": {"dropout_rate": 0.0, "use_pooling": True, "kernel_size": 3},
            "b": {"dropout_rate": 0.5, "use_pooling": True, "kernel_size": 3},
        },
    ],
)
def test_every_seed_is_drawn_and_the_axis_says_that_it_is_cut(
    levels: dict[str, dict[str, Any]],
) -> None:
    figure = compare(levels, THREE_SEEDS)
    (axes,) = figure.axes
    drawn = np.concatenate([np.concatenate(line.get_data()) for line in axes.lines])
    for accuracy in (value for values in THREE_SEEDS.values() for value in values):
        assert np.isclose(drawn, accuracy).any()
    for mean in (np.mean(values) for values in THREE_SEEDS.values()):
        assert np.isclose(drawn, mean).any()
    assert "not from 0" in texts(figure)
    assert "3 seeds" in texts(figure)
    assert "Question?" in texts(figure)


@pytest.mark.parametrize("levels", [{"a": {}, "b": {}}, {"a": {"x": 1}, "b": {"x": 2}}])
def test_a_training_that_learned_nothing_does_not_stretch_the_axis(
    levels: dict[str, dict[str, Any]],
) -> None:
    figure = compare(levels, {"a": [*THREE_SEEDS["a"], 10.0], "b": [*THREE_SEEDS["b"], 92.1]})
    (axes,) = figure.axes
    low, high = axes.get_ylim() if "x" in levels["a"] else axes.get_xlim()
    assert 90 < low < 91.6 < 92.3 < high < 94
    assert "Outside of the axis: a: 10.0 % (mean 71.4 %)." in texts(figure)
    assert "Outside" not in texts(compare(levels, THREE_SEEDS))


def test_an_axis_from_zero_is_not_called_cut() -> None:
    figure = compare({"a": {}, "b": {}}, {"a": [1.0, 60.0, 30.0], "b": [2.0, 20.0, 99.0]})
    assert "axis from 0.0 to 100.0 %" in texts(figure)
    assert "not from 0" not in texts(figure)


def test_two_factors_give_a_heat_map_and_a_panel_of_seeds() -> None:
    levels = {
        f"{rate}{norm}": {"dropout_rate": rate, "use_batch_norm": norm}
        for rate in (0.0, 0.5)
        for norm in (True, False)
    }
    accuracies = {name: [90.0 + i, 91.0 + i] for i, name in enumerate(levels)}
    figure = compare(levels, accuracies)
    heat, dots = figure.axes[:2]
    assert np.asarray(heat.images[0].get_array()).tolist() == [[90.5, 91.5], [92.5, 93.5]]
    assert "90.50 ± 0.71" in texts(figure)
    assert "not from 0" in dots.get_ylabel()


def test_a_heat_map_tells_ten_columns_apart() -> None:
    levels = {
        f"{rate} {size}": {"dropout_rate": rate, "kernel_size": size}
        for rate in (0.0, 0.5)
        for size in range(1, 11)
    }
    legend = compare(levels, {name: [90.0, 91.0] for name in levels}).legends[0]
    looks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(looks) == 10


@pytest.mark.parametrize(
    "levels", [{"a": {}, "b": {}}, {"a": {"kernel_size": 3}, "b": {"kernel_size": 5}}]
)
def test_diverged_trials_are_counted_in_words(levels: dict[str, dict[str, Any]]) -> None:
    figure = compare(levels, {"a": [91.0, np.nan], "b": [np.nan, np.nan]})
    figure.canvas.draw()
    assert "1 diverged" in texts(figure)
    assert "2 diverged" in texts(figure)


def test_the_caption_says_that_one_seed_has_no_spread() -> None:
    figure = compare({"a": {}, "b": {}}, {"a": [91.0], "b": [92.0]})
    assert "One seed gives no mean or spread" in texts(figure)


def test_bars_and_captions_are_inside_the_figure() -> None:
    figure = compare(
        {"a": {"use_pooling": True}, "b": {"use_pooling": False}}, {"a": [91.0, 93.0], "b": [92.0, 92.1]}
    )
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    mean, sd = 92.0, 2**0.5
    assert low < mean - sd < mean + sd < high
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.findobj(Text))


def test_small_differences_do_not_fill_the_axis() -> None:
    figure = compare({"a": {"kernel_size": 3}, "b": {"kernel_size": 5}}, {"a": [92.0], "b": [92.01]})
    low, high = figure.axes[0].get_ylim()
    assert high - low >= 1


CLAIM = {
    "kind": "above",
    "unit": "points",
    "is_difference": True,
    "metric": "mean_val_accuracy",
    "verdict": "supported",
    "estimate": 0.6,
    "low": 0.3,
    "high": 0.9,
    "margin": 0.2,
    "claimed": None,
    "seeds": 5,
}


def test_claims_are_drawn_with_the_seeds_they_have() -> None:
    verdicts = pd.DataFrame(
        [
            CLAIM | {"text": "It is."},
            CLAIM | {"text": "It wins.", "verdict": "among the best", "seeds": 3},
            CLAIM | {"text": "Value.", "is_difference": False},
        ]
    )
    text = " ".join(texts(Claims("T", verdicts).draw()).split())
    assert "(3 or 5 seeds)" in text
    assert "Value." not in text
    assert "Claims about single values (1)" in text
    one_seed = verdicts.assign(seeds=1, low=np.nan, high=np.nan)
    assert "One seed gives no interval." in texts(Claims("T", one_seed).draw())
    assert "One seed gives no interval." in texts(Claims("T", verdicts.head(0)).draw())


DIRECTION = "Differences right of 0 have the claimed direction."
UPPER = "For claims of an upper bound, the tick is the bound, and differences left of it agree."
LOWER = "For claims of a lower bound, the tick is the bound, and differences right of it agree."
BAND = "Grey band: differences that do not matter."
TOLERANCE = "Grey band around a claimed size: differences that agree with it."


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        ({"above": 0.2}, [DIRECTION, BAND]),
        ({"at_most": 0.0}, [UPPER]),
        ({"at_least": 0.0, "difference": 0.1}, [LOWER, TOLERANCE]),
        ({"difference": 0.1, "trend": 0.2, "at_most": 0.0}, [DIRECTION, UPPER, BAND, TOLERANCE]),
        ({}, []),
    ],
)
def test_only_the_marks_that_claims_have_are_explained(
    margins: dict[str, float], expected: list[str]
) -> None:
    rows = [CLAIM | {"text": "T", "kind": kind, "margin": margin} for kind, margin in margins.items()]
    claims = pd.DataFrame(rows, columns=[*CLAIM, "text"])
    assert explain_marks(claims) == " ".join(expected)
    assert " ".join(expected) in " ".join(
        texts(Claims("T", claims.astype({"claimed": float})).draw()).split()
    )


def test_claims_have_a_panel_per_unit() -> None:
    units = ["points", "ratio", "%", "nats", "points"]
    verdicts = pd.DataFrame(CLAIM | {"text": f"In {unit}.", "unit": unit} for unit in units)
    figure = Claims("T", verdicts).draw()
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [
        "Measured difference (points of accuracy)",
        "Measured difference (nats)",
        "Measured difference (%)",
        "Measured difference (ratio)",
    ]
    assert [len(axes.get_yticklabels()) for axes in figure.axes] == [2, 1, 1, 1]
    caption = " ".join(text.get_text() for text in figure.texts)
    assert "Claims about single values" not in caption


def test_claims_have_a_panel_for_each_unit() -> None:
    units = ["points", "ratio", "a unit of the future"]
    verdicts = pd.DataFrame([CLAIM | {"text": "T", "unit": unit} for unit in reversed(units)])
    labels = [axes.get_xlabel() for axes in Claims("T", verdicts).draw().axes]
    assert [unit in label for unit, label in zip(units, labels, strict=True)] == [True] * 3


def test_one_wide_interval_does_not_squeeze_the_others() -> None:
    verdicts = pd.DataFrame(
        [CLAIM | {"text": "Narrow."}, CLAIM | {"text": "Wide.", "low": -50.0, "high": 51.0}]
    )
    (axes,) = Claims("T", verdicts).draw().axes
    low, high = axes.get_xlim()
    assert -2 < low < -0.2
    assert 0.9 < high < 2


def test_the_claimed_size_is_drawn() -> None:
    def marks(claimed: float | None) -> list[float]:
        verdicts = pd.DataFrame([CLAIM | {"kind": "difference", "text": "Size.", "claimed": claimed}])
        (axes,) = Claims("T", verdicts.astype({"claimed": float})).draw().axes
        lines = (line for line in axes.get_lines() if line.get_marker() == "|")
        return [float(x) for line in lines for x in np.asarray(line.get_xdata())]

    assert marks(0.46) == [0.46]
    assert marks(None) == []


def test_geometric_levels_have_a_logarithmic_axis() -> None:
    def label(rates: list[float]) -> str:
        levels = {str(rate): {"training.optimizer.learning_rate": rate} for rate in rates}
        return compare(levels, {str(rate): [90.0, 91.0] for rate in rates}).axes[0].get_xlabel()

    assert label([0.0001, 0.001, 0.01]) == "Learning rate (logarithmic)"
    assert label([0.001, 0.01, 0.02]) == "Learning rate"
    assert label([0.0, 0.1, 1.0]) == "Learning rate"


def test_bars_are_the_intervals_of_the_tables_and_means_lie_on_their_tick() -> None:
    accuracies = [91.0, 92.0, 94.0]
    figure = compare(
        {"a": {"kernel_size": 3}, "b": {"kernel_size": 5}}, {"a": accuracies, "b": accuracies}
    )
    axes = figure.axes[0]
    first: Any = axes.containers[0]
    points, _, (bars,) = first.lines
    assert points.get_xdata()[0] == axes.get_xticks()[0]
    (segment,) = bars.get_segments()
    low, high = stats.t.interval(0.95, 2, np.mean(accuracies), stats.sem(accuracies))
    assert segment[:, 1].tolist() == pytest.approx([low, high])


def test_a_condition_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    curve = {"train_accuracy": 1.0, "val_accuracy": 2.0, "train_loss": 3.0, "val_loss": 4.0}
    histories = pd.DataFrame(
        {"condition": name, "seed": 0, "epoch": epoch, **curve}
        for name in ("_a", "b")
        for epoch in (1, 2)
    )
    (legend,) = LearningCurves("T", histories).draw().legends
    assert [text.get_text() for text in legend.get_texts()] == ["_a", "b"]


def test_many_conditions_have_a_panel_of_learning_curves_each() -> None:
    curve = {"train_accuracy": 1.0, "val_accuracy": 2.0, "train_loss": 3.0, "val_loss": 4.0}
    histories = pd.DataFrame(
        {"condition": f"condition {name}", "seed": 0, "epoch": epoch, **curve}
        for name in range(10)
        for epoch in (1, 2)
    )
    figure = LearningCurves("T", histories).draw()
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_visible()]
    assert titles == [f"condition {name}" for name in range(10)]
    labelled = [axes.get_title("left") for axes in figure.axes if axes.get_xlabel() == "Epoch"]
    assert labelled == [f"condition {name}" for name in range(6, 10)], "the lowest of each column"
    figure.canvas.draw()
    numbered = [
        axes
        for axes in figure.axes
        if axes.get_visible() and axes.xaxis.get_tick_params()["labelbottom"]
    ]
    assert [axes.get_title("left") for axes in numbered] == labelled


def test_long_file_names_are_cut_in_the_middle() -> None:
    assert shorten("photo_of_a_bag_12345.jpg") == "photo_of_a_bag_12345.jpg"
    assert shorten("a_long_series_of_photos_0001.png") == "a_long_seri…tos_0001.png"


@pytest.mark.parametrize("conditions", ["ab", "abcdefgh"])
def test_a_training_that_learned_nothing_does_not_stretch_the_curves(conditions: str) -> None:
    histories = pd.DataFrame(
        {
            "condition": condition,
            "seed": seed,
            "epoch": epoch,
            "train_accuracy": 89.0 + epoch,
            "val_accuracy": 10.0 if (condition, seed) == ("a", 3) else 88.0 + epoch + seed / 10,
            "train_loss": 0.3,
            "val_loss": 0.4,
        }
        for condition in conditions
        for seed in range(4)
        for epoch in (1, 2)
    )
    figure = LearningCurves("T", histories).draw()
    assert all(axes.get_ylim()[0] > 80 for axes in figure.axes[: min(len(conditions), 2)])
    assert "Not drawn: a: 1 of 4 trials, which end at 10.0 %" in texts(figure)
    assert "Not drawn" not in texts(LearningCurves("T", histories[histories["seed"] < 3]).draw())


def test_a_condition_that_starts_late_does_not_stretch_the_curves() -> None:
    histories = pd.DataFrame(
        {
            "condition": condition,
            "seed": 0,
            "epoch": epoch,
            "train_accuracy": 88.0 + epoch,
            "val_accuracy": 10.0 if (condition, epoch) == ("a", 1) else 88.0 + epoch,
            "train_loss": 0.3,
            "val_loss": 0.4,
        }
        for condition in "abcdef"
        for epoch in (1, 2)
    )
    figure = LearningCurves("T", histories).draw()
    accuracy, _, loss, _ = figure.axes
    assert accuracy.get_ylim()[0] > 80
    assert loss.get_ylim()[0] < 0.3
    assert "Below the axes at first: a" in texts(figure)


def test_curves_and_confusion_matrix_state_their_content() -> None:
    curve = {"train_accuracy": 1.0, "val_accuracy": 2.0, "train_loss": 3.0, "val_loss": 4.0}
    histories = pd.DataFrame(
        {"condition": "a", "seed": seed, "epoch": epoch, **curve} for seed in (0, 1) for epoch in (1, 2)
    )
    assert "range over 2 seeds" in texts(LearningCurves("T", histories).draw())
    figure = ConfusionMatrix("T", "a", np.array([[3, 1], [0, 4]]), ["cat", "dog"], 2).draw()
    assert "75.0" in texts(figure)
    assert "25.0" in texts(figure)
    assert "2 networks" in texts(figure)


def test_only_the_least_recognized_of_many_classes_are_drawn() -> None:
    names = [f"class {number:03}" for number in range(100)]
    matrix = 10 * np.eye(100, dtype=int)
    matrix[7, 8] = matrix[98, 7] = 5
    figure = ConfusionMatrix("T", "a", matrix, names, 1).draw()
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(ticks) == 20
    assert {"class 007", "class 098"} <= set(ticks)
    assert "the 20 least recognized of 100 classes" in texts(figure)
    images = np.zeros((200, 3, 8, 8), dtype=np.uint8)
    samples = Samples(images, np.arange(200) % 100, names).draw()
    assert "the first 20 of 100" in samples.get_suptitle()


def test_an_unchanged_figure_is_not_drawn_again(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    table = pd.DataFrame({"condition": ["a", "a"], "seed": [0, 0], "epoch": [1, 2]})
    for metric in ("train_accuracy", "val_accuracy", "train_loss", "val_loss"):
        table[metric] = [0.1, 0.2]
    curves = LearningCurves("Before", table)

    def save(drawing: Drawing) -> bool:
        """Save the figure; return whether it was drawn."""
        before = path.stat().st_mtime_ns if path.exists() else 0
        FigureDataset(filepath=str(path)).save(drawing)
        return path.stat().st_mtime_ns != before

    assert save(curves)
    assert not save(curves)
    assert save(LearningCurves("After", table))
    assert save(LearningCurves("After", table.assign(val_loss=0.3)))
    assert save(curves)
    whole = path.read_bytes()
    short_header = whole[:11] + b"\4" + whole[12:]
    for damaged in (whole[: len(whole) // 2], short_header, b"", b"no figure"):
        path.write_bytes(damaged)
        assert save(curves)
        assert path.read_bytes() == whole


class Schedule(Parameters):
    """A level that is a part with a setting."""

    warm_up: float

    def __str__(self) -> str:
        return "cosine"


def test_a_level_may_be_a_part() -> None:
    def comparison(first: Any, second: Any) -> Comparison:
        trials = trial_metrics(THREE_SEEDS)
        levels = {"a": {"training.schedule": first}, "b": {"training.schedule": second}}
        return Comparison("Title", "Question?", levels, trials, summarize_conditions(trials))

    constant_and_cosine = comparison("constant", Schedule(warm_up=0.1))
    axes = constant_and_cosine.draw().axes[0]
    assert axes.get_xlabel() == "Schedule"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["constant", "cosine"]
    assert constant_and_cosine.digest() == comparison("constant", Schedule(warm_up=0.1)).digest()
    assert constant_and_cosine.digest() != comparison("constant", Schedule(warm_up=0.2)).digest()


@pytest.mark.parametrize(
    ("setting", "label"),
    [
        ("training.optimizer.learning_rate", "Learning rate"),
        ("model.kernel_size", "Kernel size (pixels)"),
        ("use_batch_norm", "Batch normalization"),
        ("training.schedule", "Schedule"),
    ],
)
def test_an_axis_label_comes_from_the_last_name_of_a_setting(setting: str, label: str) -> None:
    assert axis_label(setting) == label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "on"),
        (False, "off"),
        ([32, 64], "32–64"),
        ([], "none"),
        (0.5, "0.5"),
        (Schedule(warm_up=0.1), "cosine"),
    ],
)
def test_the_text_of_a_level(value: Any, text: str) -> None:
    assert level_text(value) == text


def test_a_field_that_cannot_be_hashed_is_an_error() -> None:
    with pytest.raises(TypeError, match="a figure cannot be made from a set"):
        Comparison("T", "Q?", {"a": {"x": {1}}}, pd.DataFrame(), pd.DataFrame()).digest()


def test_a_figure_is_the_same_whatever_the_user_has_set(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    samples = Samples(np.zeros((1, 1, 28, 28), np.uint8), np.array([0]), ["a"])
    FigureDataset(filepath=str(path)).save(samples)
    expected = path.read_bytes()
    path.unlink()
    own: Any = {"savefig.format": "pdf", "text.usetex": True, "font.size": 20, "savefig.dpi": 30}
    with mpl.rc_context(own):
        FigureDataset(filepath=str(path)).save(samples)
        assert {name: mpl.rcParams[name] for name in own} == own
    assert path.read_bytes() == expected


@pytest.mark.parametrize("name", ["$x_{$", "a$b$", "100 % $", "x_1^2", "\\\\frac{$\\\\alpha$}"])
def test_dollars_are_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "figure.png"
    trials = trial_metrics({name: [91.0, 92.0], "b": [91.5, 92.5]})
    levels = {name: {"dropout_rate": 0.0}, "b": {"dropout_rate": 0.5}}
    drawings = [
        Comparison(f"{name} {name}", name, levels, trials, summarize_conditions(trials)),
        Samples(np.zeros((2, 1, 28, 28), np.uint8), np.array([0, 1]), [name, "b"]),
    ]
    for drawing in drawings:
        FigureDataset(filepath=str(path)).save(drawing)
    assert path.is_file()
