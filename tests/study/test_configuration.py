"""Configurations: parts by name or with settings, and what identifies them."""

from typing import Any

import pytest
from pydantic import ValidationError

from cnn_ablation.parts.architectures import ConvNet
from cnn_ablation.parts.augmentations import HorizontalFlip
from cnn_ablation.parts.initializations import HeNormal
from cnn_ablation.parts.optimizers import SGD, Adam
from cnn_ablation.parts.schedules import Cosine
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from tests.conftest import QUICK_TRAINING


def configuration(**training: Any) -> Configuration:
    return Configuration.model_validate(
        {
            "model": "convnet",
            "training": {"epochs": 2, "batch_size": 64, "optimizer": "adam", **training},
        }
    )


def test_a_bare_name_is_a_part_with_its_defaults() -> None:
    found = configuration(
        schedule="cosine", augmentation=["horizontal_flip"], initialization="he_normal"
    )
    assert found.model == ConvNet()
    assert found.training == TrainingParameters(
        epochs=2,
        batch_size=64,
        optimizer=Adam(),
        schedule=Cosine(),
        augmentation=[HorizontalFlip()],
        initialization=HeNormal(),
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dropout_rate": 1.0}, "less than 1"),
        ({"dropout_rate": -0.1}, "greater than or equal to 0"),
        ({"dropout_rate": "0.5"}, "valid number"),
        ({"conv_channels": []}, "at least 1 item"),
        ({"conv_channels": [32, 0]}, "greater than 0"),
        ({"conv_channels": 32}, "valid list"),
        ({"kernel_size": 2}, "must be odd"),
        ({"fc_units": [-1]}, "greater than 0"),
        ({"use_pooling": 1}, "valid boolean"),
        ({"dropout": 0.5}, "unknown key 'dropout'; allowed: kind, conv_channels"),
        ({"dropout_rat": 0.5}, "Did you mean 'dropout_rate'?"),
    ],
)
def test_the_architecture_rejects(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as failure:
        ConvNet.model_validate({"kind": "convnet", **change})
    assert reason in str(failure.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epochs": 0}, "greater than 0"),
        ({"epochs": 1.5}, "valid integer"),
        ({"batch_size": -64}, "greater than 0"),
        ({"optimizer": "rmsporp"}, "no such optimizer; allowed: adam, adamw, sgd"),
        ({"optimizer": None}, "must be the name of an optimizer, or a mapping with its `kind`"),
        ({"optimizer": {"learning_rate": 0.1}}, "must be the name of an optimizer"),
        ({"optimizer": {"kind": "adam", "learning_rate": 0.0}}, "greater than 0"),
        ({"optimizer": {"kind": "adam", "weight_decay": -1.0}}, "greater than or equal to 0"),
        ({"optimizer": {"kind": "sgd", "momentum": 1.0}}, "less than 1"),
        ({"optimizer": {"kind": "adam", "momentum": 0.9}}, "unknown key 'momentum'"),
        ({"learning_rate": 0.1}, "learning_rate is now optimizer.learning_rate"),
        ({"weight_decay": 0.1}, "weight_decay is now optimizer.weight_decay"),
        ({"schedule": {"kind": "cosine", "warmup": 1.0}}, "less than 1"),
        ({"augmentation": "horizontal_flip"}, "valid list"),
        ({"augmentation": [{"kind": "horizontal_flip", "p": 0.0}]}, "greater than 0"),
        ({"augmentation": [{"kind": "horizontal_flip", "probability": 0.1}]}, "probability is now p"),
        ({"initialization": "he"}, "no such initialization; allowed: pytorch, he_normal"),
    ],
)
def test_training_rejects(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as failure:
        TrainingParameters.model_validate({**QUICK_TRAINING.model_dump(), **change})
    assert reason in str(failure.value)


def test_settings_have_dotted_names() -> None:
    found = configuration(augmentation=["horizontal_flip"])
    settings = found.settings()
    assert settings["model.kind"] == "convnet"
    assert settings["model.dropout_rate"] == 0.5
    assert settings["training.optimizer.kind"] == "adam"
    assert settings["training.optimizer.learning_rate"] == 0.001
    assert settings["training.augmentation"] == ["horizontal_flip"]


def test_the_identity_has_what_differs_from_the_defaults() -> None:
    assert configuration().identity() == {
        "model": {"kind": "convnet"},
        "training": {"epochs": 2, "batch_size": 64, "optimizer": {"kind": "adam"}},
    }
    changed = configuration(
        optimizer={"kind": "sgd", "momentum": 0.5},
        schedule="cosine",
        augmentation=["horizontal_flip", {"kind": "horizontal_flip", "p": 0.1}],
    )
    assert changed.identity()["training"] == {
        "epochs": 2,
        "batch_size": 64,
        "optimizer": {"kind": "sgd", "momentum": 0.5},
        "schedule": {"kind": "cosine"},
        "augmentation": [
            {"kind": "horizontal_flip"},
            {"kind": "horizontal_flip", "p": 0.1},
        ],
    }
    assert Configuration.model_validate(changed.identity()) == changed


def test_the_label_of_a_part_names_what_differs_from_its_defaults() -> None:
    assert str(SGD()) == "sgd"
    assert str(SGD(momentum=0.5)) == "sgd(momentum=0.5)"
