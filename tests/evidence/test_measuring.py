"""Measured contrasts, and the steps in which metrics change."""

import pytest

from cnn_ablation.evidence.measuring import rounding_step
from cnn_ablation.parts.averaging import EpochAverage
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.trials import Condition


@pytest.mark.parametrize(
    ("metric", "train", "step"),
    [
        ("mean_val_accuracy", 2000, 0.005),
        ("final_val_accuracy", 2000, 0.1),
        ("final_train_accuracy", 2000, 0.05),
        ("final_train_accuracy", 100, 1.0),
        ("eval_train_accuracy", 100, 1.0),
        ("generalization_gap", 100, 0.1),
        ("overfitting_gap", 2000, 0.05),
        ("generalization_gap", 2000, 0.05),
        ("val_accuracy_spread", 2000, 0.0),
        ("epochs_to_80", 2000, 1.0),
        ("final_val_loss", 2000, 0.0),
        ("seconds_per_epoch", 2000, 0.0),
    ],
)
def test_an_accuracy_changes_in_steps_of_one_image(metric: str, train: int, step: float) -> None:
    images = {"train": train, "validation": 1000}
    assert rounding_step(metric, [], images, 20) == pytest.approx(step)


def test_networks_that_exist_only_at_the_end_are_scored_once(baseline: Configuration) -> None:
    training = baseline.training.model_copy(update={"averaging": EpochAverage()})
    model = baseline.model.model_copy(update={"test_time_augmentation": "horizontal_flip"})
    plain = Condition(name="", levels={}, model=baseline.model, training=baseline.training)
    averaged = plain.model_copy(update={"training": training})
    augmented = plain.model_copy(update={"model": model})
    images = {"train": 2000, "validation": 1000}
    for compared, step in (
        ([plain], 0.005),
        ([plain, plain], 0.005),
        ([averaged], 0.1),
        ([augmented], 0.1),
        ([plain, augmented], 0.1),
    ):
        assert rounding_step("mean_val_accuracy", compared, images, 20) == pytest.approx(step)
