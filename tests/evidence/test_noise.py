"""Noise over seeds and images, checked against simulations of crossed designs."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from cnn_ablation.evidence.effects import Effect
from cnn_ablation.evidence.noise import BUDGET_COLUMNS, ImageNoise, budget_noise

SEEDS, IMAGES = 6, 200


def crossed(rng: np.random.Generator, correlation: float = 0.5) -> dict[str, np.ndarray]:
    """Continuous 'hits' of two conditions: effects of seeds 0.02, of images 0.2, and a rest of 0.3."""
    shared = rng.normal(size=IMAGES)
    hits = {}
    for name in "ab":
        own = rng.normal(size=IMAGES)
        image = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
        seed = rng.normal(size=(SEEDS, 1))
        hits[name] = 0.9 + 0.2 * image + 0.02 * seed + 0.3 * rng.normal(size=(SEEDS, IMAGES))
    return hits


def difference(hits: dict[str, np.ndarray]) -> Effect:
    return Effect.of(100 * (hits["a"] - hits["b"]).mean(axis=1), norm=math.sqrt(2))


def test_the_variance_over_images_is_that_of_the_simulation() -> None:
    rng = np.random.default_rng(0)
    noises = [ImageNoise.of(crossed(rng)) for _ in range(300)]
    weights = {"a": 1.0, "b": -1.0}
    # The images' common part cancels in a difference. Their own parts remain: 2 * (1 - 0.5) * 20^2.
    expected = 400 / IMAGES
    found = [noise.variance(weights) for noise in noises if noise is not None]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)
    single = [noise.variance({"a": 1.0}) for noise in noises if noise is not None]
    assert np.mean(single) == pytest.approx(400 / IMAGES, rel=0.03)


def test_the_interval_covers_the_true_difference_on_other_images() -> None:
    rng = np.random.default_rng(1)
    weights = {"a": 1.0, "b": -1.0}
    rounds, over_images, over_seeds = 600, 0, 0
    for _ in range(rounds):
        hits = crossed(rng)
        noise = ImageNoise.of(hits)
        assert noise is not None
        effect = difference(hits)
        low, high = noise.interval(effect, weights)
        over_images += low < 0 < high
        low, high = effect.interval()
        over_seeds += low < 0 < high
    assert 0.92 < over_images / rounds < 0.98
    assert over_seeds / rounds < 0.9  # intervals over seeds hold for the images at hand


def test_it_survives_json() -> None:
    noise = ImageNoise.of(crossed(np.random.default_rng(2)))
    assert noise is not None
    loaded = ImageNoise.load(json.loads(json.dumps(noise.dump())))
    assert loaded is not None
    assert loaded.variance({"a": 1, "b": -1}) == noise.variance({"a": 1, "b": -1})
    assert ImageNoise.load(None) is None


def test_one_seed_says_nothing_about_images() -> None:
    assert ImageNoise.of({"a": np.ones((1, 50)), "b": np.zeros((1, 50))}) is None


def test_an_effect_of_unknown_spread_has_no_interval() -> None:
    noise = ImageNoise.of(crossed(np.random.default_rng(3)))
    assert noise is not None
    assert all(map(math.isnan, noise.interval(Effect.of([1.0]), {"a": 1.0})))
    assert noise.covers(["a", "b"])
    assert not noise.covers(["a", "c"])


def trainings(rng: np.random.Generator, seeds: int, images: int, shift: float) -> np.ndarray:
    """Bernoulli trainings: each image has a probability, which a training changes by a shift."""
    probability = rng.beta(4, 1, images)
    luck = shift * rng.normal(size=(seeds, 1))
    return np.asarray(rng.random((seeds, images)) < np.clip(probability + luck, 0, 1))


def metrics(hits: np.ndarray, condition: str = "a") -> pd.DataFrame:
    final = 100 * hits.mean(axis=1)
    return pd.DataFrame(
        {
            "condition": condition,
            "seed": range(len(hits)),
            "status": "finished",
            "final_val_accuracy": final,
            "mean_val_accuracy": final + 0.1,
            "val_accuracy_spread": 0.2,
        }
    )


def test_independent_errors_explain_the_whole_spread() -> None:
    """Jordan (2024): then the sd over trainings is that of independent images."""
    hits = trainings(np.random.default_rng(4), 400, 1000, 0.0)
    row = budget_noise(metrics(hits), {"a": hits}).iloc[0]
    assert row["images_sd"] == pytest.approx(row["final_sd"], rel=0.1)
    assert row["distribution_sd"] < 0.5 * row["final_sd"]
    assert row["seed_sd"] == pytest.approx(row["final_sd"])
    assert row["last_step_sd"] == pytest.approx(0.2)


def test_what_trainings_have_in_common_on_all_images_is_told_apart() -> None:
    rng = np.random.default_rng(5)
    hits = trainings(rng, 400, 2000, 0.02)
    row = budget_noise(metrics(hits), {"a": hits}).iloc[0]
    assert row["distribution_sd"] == pytest.approx(2.0, rel=0.15)
    assert row["final_sd"] ** 2 == pytest.approx(row["images_sd"] ** 2 + row["distribution_sd"] ** 2)


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_standard_error_over_images_does_not_depend_on_the_seeds(seeds: int) -> None:
    rng = np.random.default_rng(6)
    found = []
    for _ in range(100):
        hits = trainings(rng, seeds, 500, 0.0)
        found.append(budget_noise(metrics(hits), {"a": hits})["images_se"].item() ** 2)
    # The variance of a beta distribution with the parameters 4 and 1 is 4 / 150.
    assert np.mean(found) == pytest.approx(1e4 * 4 / 150 / 500, rel=0.05)


def test_one_training_has_no_spread_over_seeds() -> None:
    hits = trainings(np.random.default_rng(7), 1, 500, 0.0)
    row = budget_noise(metrics(hits), {"a": hits}).iloc[0]
    assert all(math.isnan(row[name]) for name in ("seed_sd", "final_sd", "images_sd", "distribution_sd"))
    assert row["images_se"] == pytest.approx(100 * hits.std(ddof=1) / math.sqrt(500))


def test_trainings_that_did_not_finish_take_no_part() -> None:
    hits = trainings(np.random.default_rng(8), 4, 100, 0.0)
    table = pd.concat([metrics(hits), metrics(hits, "lost").assign(status="diverged")])
    assert list(budget_noise(table, {"a": hits})["condition"]) == ["a"]
    nothing = budget_noise(table.assign(status="failed"), {})
    assert nothing.empty
    assert list(nothing.columns) == BUDGET_COLUMNS
