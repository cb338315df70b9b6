"""The network: parameter counts, shapes, errors, and paired initial weights."""

import pytest
import torch
from pydantic import ValidationError

from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.architectures import ConvNet
from cnn_ablation.parts.convnet import ConvNetwork
from cnn_ablation.parts.initializations import PyTorchDefault
from cnn_ablation.parts.layers import SeededDropout, count_activations, count_parameters
from cnn_ablation.report.layer_table import describe_network
from cnn_ablation.training.initial_weights import seed_network
from tests.conftest import JOURNAL_MODEL

GREY = (1, 28, 28)


def variant(**changes: object) -> ConvNet:
    return ConvNet.model_validate({"kind": "convnet", **changes})


def network(**changes: object) -> ConvNetwork:
    return ConvNetwork(variant(**changes), GREY, 10)


def seeded(seed: int, **changes: object) -> ConvNetwork:
    net = network(**changes)
    seed_network(net, PyTorchDefault(), seed, torch.device("cpu"))
    return net


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({"conv_channels": [32]}, 804_618),
        ({}, 421_834),
        ({"conv_channels": [32, 64, 128]}, 241_994),
        ({"use_pooling": False}, 6_442_954),
        # The configurations that the journal's author ran as "combined".
        ({"fc_units": [256, 128]}, 856_266),
        ({"conv_channels": [32, 64, 128], "fc_units": [256]}, 390_858),
        ({"conv_channels": [64, 128], "fc_units": [512, 256]}, 3_420_554),
    ],
)
def test_parameter_counts_of_the_published_journals_networks(
    changes: dict[str, object], parameters: int
) -> None:
    assert count_parameters(network(**changes)) == parameters


def test_counting_activations_leaves_the_network_as_it_was() -> None:
    net = network(use_batch_norm=False)
    # Each layer's map after convolution, and a quarter of it after pooling and after ReLU; see
    # tests/training/test_moments.py for the network with batch norm.
    by_hand = 32 * 28 * 28 * 3 // 2 + 64 * 14 * 14 * 3 // 2 + 3 * 128 + 10
    for _ in range(2):
        assert count_activations(net, GREY) == by_hand
        assert net.training
        assert all(layer.training for layer in net.modules())


def test_the_layers_add_up_to_the_network() -> None:
    table = describe_network(JOURNAL_MODEL, GREY, 10).set_index("layer")
    assert table["parameters"].sum() == 421_834
    assert table.loc["conv.0.conv", "output_shape"] == "32x28x28"
    assert table.loc["conv.1.pool", "output_shape"] == "64x7x7"
    # Multiply-adds by hand: kernel area x input channels x output elements.
    assert table.loc["conv.0.conv", "multiply_adds"] == 9 * 1 * 32 * 28 * 28
    assert table.loc["conv.1.conv", "multiply_adds"] == 9 * 32 * 64 * 14 * 14
    assert table.loc["hidden.0.linear", "multiply_adds"] == 3136 * 128
    assert table.loc["output", "multiply_adds"] == 1280


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 13, 21)])
@pytest.mark.parametrize("use_pooling", [True, False, [False, True]])
def test_described_shapes_match_the_outputs(
    image_shape: tuple[int, int, int], use_pooling: bool | list[bool]
) -> None:
    model = variant(use_pooling=use_pooling, fc_units=[20, 30], kernel_size=5)
    net = ConvNetwork(model, image_shape, 7)
    shapes = {}
    for name, layer in net.named_modules():
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: shapes.update({name: output.shape[1:]})
        )
    net(torch.zeros(2, *image_shape))
    table = describe_network(model, image_shape, 7).set_index("layer")["output_shape"]
    assert table.to_dict() == {name: "x".join(map(str, shapes[name])) for name in table.index}
    assert {"conv.0.conv", "hidden.1.dropout", "output"} <= set(table.index)


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 32, 32), (1, 5, 9)])
def test_logits_adapt_to_image_shape_and_classes(image_shape: tuple[int, int, int]) -> None:
    net = ConvNetwork(variant(fc_units=[], kernel_size=5), image_shape, 7)
    assert net(torch.zeros(2, *image_shape)).shape == (2, 7)


def test_pooling_can_be_chosen_for_each_layer() -> None:
    channels = {"conv_channels": [8, 8, 8], "fc_units": []}
    net = network(**channels, use_pooling=[True, False, True])
    assert [layer.pool is not None for layer in net.conv] == [True, False, True]
    assert net.output.in_features == 8 * 7 * 7
    assert net(torch.zeros(2, *GREY)).shape == (2, 10)
    costs = [
        variant(**channels, use_pooling=pools).relative_cost(GREY)
        for pools in ([True, True, True], [True, False, True], [False, True, True])
    ]
    assert costs == sorted(costs)
    assert len({*costs}) == 3


@pytest.mark.parametrize("use_pooling", [[], [True], [True, True, False]])
def test_a_list_of_poolings_has_an_entry_per_layer(use_pooling: list[bool]) -> None:
    with pytest.raises(ValidationError, match=r"use_pooling: has \d entries, but conv_channels has 2"):
        variant(use_pooling=use_pooling)


def test_pooling_an_image_to_nothing_is_an_error_that_names_the_layer() -> None:
    network(conv_channels=[8] * 4)
    with pytest.raises(ParameterError) as failure:
        network(conv_channels=[8] * 5)
    assert failure.value.key == "model.conv_channels"
    assert "layer 5 of 5 cannot pool an image of 1x1 pixels" in str(failure.value)
    assert "allow 4 pooled layers" in str(failure.value)
    network(conv_channels=[8] * 6, use_pooling=False)


def test_a_seed_gives_layers_of_equal_shape_the_same_weights_in_every_network() -> None:
    weights = seeded(3).state_dict()
    for changes in (
        {"dropout_rate": 0.0},
        {"use_batch_norm": False},
        {"conv_channels": [32, 64, 128]},
        {"conv_channels": [32]},
        {"use_pooling": False},
        {"fc_units": [128, 64]},
    ):
        others = seeded(3, **changes).state_dict()
        shared = [
            layer
            for layer in (name.removesuffix(".weight") for name in weights if name.endswith(".weight"))
            if f"{layer}.weight" in others
            and others[f"{layer}.weight"].shape == weights[f"{layer}.weight"].shape
        ]
        assert "conv.0.conv" in shared
        for name in (f"{layer}.{part}" for layer in shared for part in ("weight", "bias")):
            assert torch.equal(others[name], weights[name]), name


def test_initial_weights_differ_between_seeds_and_layers() -> None:
    first, second = (seeded(seed, fc_units=[128, 128, 128]) for seed in (0, 1))
    one, other = "hidden.1.linear.weight", "hidden.2.linear.weight"
    assert not torch.equal(first.get_parameter(one), second.get_parameter(one))
    assert not torch.equal(first.get_parameter(one), first.get_parameter(other))


def test_initial_weights_have_pytorchs_distribution() -> None:
    net = seeded(0)
    weight = net.get_parameter("hidden.0.linear.weight").detach()
    reference = torch.nn.Linear(*weight.shape[::-1]).weight.detach()
    assert weight.abs().max().item() == pytest.approx(reference.abs().max().item(), rel=0.01)
    assert weight.std().item() == pytest.approx(reference.std().item(), rel=0.01)


def test_dropout_has_its_rate_and_its_own_random_stream() -> None:
    dropout = SeededDropout(0.3)
    dropout.generator = torch.Generator().manual_seed(0)
    ones = torch.ones(200, 500)
    torch.manual_seed(0)
    dropped = dropout(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    dropout.generator = torch.Generator().manual_seed(0)
    torch.manual_seed(99)
    assert torch.equal(dropout(ones), dropped)
    assert torch.equal(dropout.eval()(ones), ones)
