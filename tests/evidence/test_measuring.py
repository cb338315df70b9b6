"""The steps in which metrics change."""

import pytest

from cnn_ablation.evidence.measuring import rounding_step


@pytest.mark.parametrize(
    ("metric", "step"),
    [
        ("mean_val_accuracy", 0.005),
        ("final_val_accuracy", 0.1),
        ("final_train_accuracy", 0.05),
        ("overfitting_gap", 0.05),
        ("generalization_gap", 0.05),
        ("val_accuracy_spread", 0.0),
        ("epochs_to_80", 1.0),
        ("final_val_loss", 0.0),
        ("seconds_per_epoch", 0.0),
    ],
)
def test_an_accuracy_changes_in_steps_of_one_image(metric: str, step: float) -> None:
    images = {"train": 2000, "validation": 1000}
    assert rounding_step(metric, images, 20) == pytest.approx(step)
