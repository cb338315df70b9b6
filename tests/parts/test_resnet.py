"""The residual network: parameter counts, shapes, errors, paired weights, and training."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.models.resnet import BasicBlock

from cnn_ablation.data.splits import Arrays, split_images
from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.architectures import Architecture, ConvNet, ResNet
from cnn_ablation.parts.initializations import PyTorchDefault
from cnn_ablation.parts.layers import count_activations, count_parameters
from cnn_ablation.parts.optimizers import Adam
from cnn_ablation.parts.resnet import PaddedShortcut, ResidualBlock
from cnn_ablation.pipelines.model_construction.nodes import describe_networks, expand_trials
from cnn_ablation.report.layer_table import describe_network
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.parameters import SeedParameters
from cnn_ablation.training.initial_weights import seed_network
from cnn_ablation.training.loop import train
from cnn_ablation.training.training_data import TrainingData
from tests.conftest import ALL_IMAGES, EVALUATION, QUICK_TRAINING
from tests.pipelines.test_model_construction import SUMMARY, make_experiment

GREY = (1, 28, 28)
SMALL = ResNet(depth=8, width=0.25)


def seeded(model: ResNet) -> dict[str, torch.Tensor]:
    network = model.build(GREY, 10)
    seed_network(network, PyTorchDefault(), 3, torch.device("cpu"))
    return network.state_dict()


def by_hand(depth: int, first: int, image_channels: int) -> int:
    """Number of parameters: convolutions, two per channel for each normalization, the last layer."""
    blocks = (depth - 2) // 6
    count = 9 * image_channels * first + 2 * first
    inputs = first
    for outputs in (first, 2 * first, 4 * first):
        count += 9 * inputs * outputs + (2 * blocks - 1) * 9 * outputs * outputs
        count += 2 * blocks * 2 * outputs
        inputs = outputs
    return count + 10 * inputs + 10


@pytest.mark.parametrize("image_channels", [1, 3])
@pytest.mark.parametrize(
    ("depth", "width"), [(8, 1.0), (20, 1.0), (32, 1.0), (20, 1.25), (14, 2.0), (8, 0.25)]
)
def test_parameter_counts(depth: int, width: float, image_channels: int) -> None:
    network = ResNet(depth=depth, width=width).build((image_channels, 32, 32), 10)
    assert count_parameters(network) == by_hand(depth, int(16 * width), image_channels)


def test_depth_20_has_the_size_of_the_paper() -> None:
    network = ResNet().build((3, 32, 32), 10)
    assert count_parameters(network) == 269_722
    weights = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 20


@pytest.mark.parametrize("image_shape", [GREY, (3, 32, 32), (1, 13, 21), (1, 5, 1)])
def test_described_shapes_match_the_outputs(image_shape: tuple[int, int, int]) -> None:
    network = SMALL.build(image_shape, 7)
    shapes = {}
    for name, layer in network.named_modules():
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: shapes.update({name: output.shape[1:]})
        )
    # A batch of one image, as the last of an epoch may be, in training mode.
    logits = network(torch.zeros(1, *image_shape))
    assert logits.shape == (1, 7)
    assert logits.isfinite().all()
    table = describe_network(SMALL, image_shape, 7).set_index("layer")
    described = table["output_shape"].to_dict()
    assert described == {name: "x".join(map(str, shapes[name])) for name in table.index}
    assert table["parameters"].sum() == count_parameters(network)
    activations = sum(shapes[name].numel() for name in table.index)
    assert count_activations(network, image_shape) == activations


def test_stages_halve_the_maps() -> None:
    table = describe_network(ResNet(), GREY, 10).set_index("layer")
    for stage, shape in enumerate(("16x28x28", "32x14x14", "64x7x7")):
        for block in range(3):
            assert table.loc[f"stages.{stage}.{block}.relu2", "output_shape"] == shape
    # Kernel area x input channels x output elements.
    assert table.loc["stages.1.0.conv1", "multiply_adds"] == 9 * 16 * 32 * 14 * 14


def test_networks_are_described_beside_others(baseline: Configuration) -> None:
    experiment = make_experiment({"model": ["convnet", "resnet"]}, "{model}")
    trials = expand_trials(experiment, baseline, SeedParameters.model_validate([0]), EVALUATION, SUMMARY)
    networks = describe_networks(trials, SUMMARY)
    totals = networks[networks["layer"] == "total"].set_index("condition")["parameters"]
    assert totals.to_dict() == {"convnet": 421_834, "resnet": 269_434}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depth": 18}, "must be 6n + 2"),
        ({"depth": 2}, "greater than or equal to 8"),
        ({"width": 1.3}, "whole number of channels"),
        ({"width": 0.0}, "greater than 0"),
        ({"dropout_rate": 1.0}, "less than 1"),
        ({"layers": 20}, "unknown key 'layers'; allowed: kind, depth, width, dropout_rate"),
    ],
)
def test_the_architecture_rejects(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as failure:
        ResNet.model_validate({"kind": "resnet", **change})
    assert reason in str(failure.value)


def test_images_that_would_shrink_to_a_pixel_are_an_error() -> None:
    ResNet().build((1, 5, 4), 10)
    with pytest.raises(ParameterError) as failure:
        ResNet().build((1, 4, 4), 10)
    assert failure.value.key == "model.kind"
    assert "images of 4x4 pixels" in str(failure.value)
    assert "at least 5 pixels" in str(failure.value)


def test_a_padded_shortcut_skips_pixels_and_adds_zeros() -> None:
    maps = torch.arange(2 * 3 * 5 * 4.0).view(2, 3, 5, 4)
    shortened = PaddedShortcut(2)(maps)
    assert shortened.shape == (2, 5, 3, 2)
    assert torch.equal(shortened[:, :3], maps[:, :, ::2, ::2])
    assert (shortened[:, 3:] == 0).all()


@pytest.mark.parametrize("out_channels", [4, 8])
def test_a_block_computes_what_torchvisions_does(out_channels: int) -> None:
    torch.manual_seed(0)
    ours = ResidualBlock(4, out_channels)
    stride, downsample = (1, None) if out_channels == 4 else (2, PaddedShortcut(4))
    theirs = BasicBlock(4, out_channels, stride, downsample)
    theirs.load_state_dict(
        {name.replace("norm", "bn"): value for name, value in ours.state_dict().items()}
    )
    for maps in (torch.randn(3, 4, 7, 6), torch.randn(3, 4, 8, 8)):
        torch.testing.assert_close(ours(maps), theirs(maps))
    torch.testing.assert_close(ours.eval()(maps), theirs.eval()(maps))


def test_a_seed_gives_layers_of_equal_shape_the_same_weights_in_every_network() -> None:
    weights = seeded(ResNet(depth=14))
    for other in (ResNet(depth=8), ResNet(depth=20), ResNet(depth=14, dropout_rate=0.3)):
        others = seeded(other)
        shared = {name for name in weights if name in others}
        assert {"conv.weight", "stages.2.0.conv1.weight", "output.weight"} <= shared
        for name in shared:
            assert torch.equal(weights[name], others[name]), name
    wider = seeded(ResNet(depth=14, width=2.0))
    assert weights.keys() == wider.keys()


def test_all_layers_keep_channels_last() -> None:
    network = SMALL.build(GREY, 10).to(memory_format=torch.channels_last)
    seen = []

    def check(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        if output.ndim == 4:
            seen.append(output.is_contiguous(memory_format=torch.channels_last))

    for layer in network.modules():
        layer.register_forward_hook(check)
    network(torch.zeros(2, *GREY).to(memory_format=torch.channels_last))
    assert len(seen) > 20
    assert all(seen)


def test_all_inputs_of_a_gpus_layers_are_on_the_gpu() -> None:
    with FakeTensorMode(), torch.device("cuda"):
        logits = ResNet(dropout_rate=0.1).build(GREY, 10)(torch.zeros(5, *GREY))
    assert (logits.device.type, logits.shape) == ("cuda", (5, 10))


@pytest.mark.parametrize(
    ("model", "factor"),
    [
        (ConvNet(fc_units=[]), 1),
        *((ResNet(), 2), (ResNet(depth=8, width=2.0), 2), (ResNet(depth=32), 2)),
    ],
    ids=str,
)
def test_relative_costs_have_one_unit(model: Architecture, factor: int) -> None:
    """Multiply-adds of convolutions and 300 for each of their outputs, on the fast layers."""
    table = describe_network(model, GREY, 10)
    convolutions = table[table["kind"] == "Conv2d"]
    outputs = sum(math.prod(map(int, shape.split("x"))) for shape in convolutions["output_shape"])
    expected = factor * (convolutions["multiply_adds"].sum() + 300 * outputs)
    assert model.relative_cost(GREY) == pytest.approx(expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_learns_draws_nothing_elsewhere_and_gives_the_same_bits_again(
    raw_images: Arrays, precision: str
) -> None:
    data = TrainingData.from_arrays(
        split_images(raw_images, ALL_IMAGES), [0.286], [0.353], torch.device("cpu")
    )
    training = QUICK_TRAINING.model_copy(update={"epochs": 3, "optimizer": Adam(learning_rate=0.01)})
    configuration = Configuration(
        model=SMALL.model_copy(update={"dropout_rate": 0.1}), training=training
    )
    trained = []
    for seed_outside in (1, 2):
        torch.manual_seed(seed_outside)
        trained.append(train(configuration, 0, data, 10, precision=precision))
    first, again = trained
    history = first.measurements.history
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]
    assert all((value == again.weights[name]).all() for name, value in first.weights.items())
