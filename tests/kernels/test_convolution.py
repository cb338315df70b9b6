"""The fast layers have the same outputs, gradients and statistics as PyTorch's layers."""

import copy
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import torch

from cnn_ablation import kernels
from cnn_ablation.kernels import map_loops
from cnn_ablation.parts.layers import ConvLayer


def fast_copy(layer: ConvLayer) -> ConvLayer:
    network = torch.nn.Sequential(copy.deepcopy(layer))
    kernels.accelerate(network)
    return cast(ConvLayer, network[0])


def make_pair(
    channels: int,
    kernel_size: int,
    *,
    use_batch_norm: bool,
    use_pooling: bool,
    gain: float = 0.5,
    out_channels: int = 6,
) -> tuple[ConvLayer, ConvLayer]:
    torch.manual_seed(0)
    one = ConvLayer(
        channels,
        out_channels,
        kernel_size,
        use_batch_norm=use_batch_norm,
        use_pooling=use_pooling,
    ).double()
    if one.norm is not None:
        torch.nn.init.uniform_(one.norm.weight, gain, 2)
        torch.nn.init.normal_(one.norm.bias)
        torch.nn.init.normal_(one.get_buffer("norm.running_mean"))
        torch.nn.init.uniform_(one.get_buffer("norm.running_var"), 0.5, 2)
    return fast_copy(one), one


def assert_same_training(fast: ConvLayer, slow: ConvLayer, images: torch.Tensor) -> None:
    inputs = [images.detach().clone().requires_grad_(images.requires_grad) for _ in range(2)]
    outputs = fast(inputs[0]), slow(inputs[1])
    torch.testing.assert_close(*outputs)
    gradient = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(gradient)
    # Inputs that need a gradient have normalization statistics in single precision.
    tolerance = 1e-5 if images.requires_grad else 1e-7
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=tolerance, atol=tolerance)
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=tolerance, atol=tolerance)
    for name, buffer in fast.named_buffers():
        torch.testing.assert_close(buffer, slow.get_buffer(name))


def test_running_statistics_without_momentum_are_the_mean_over_all_batches() -> None:
    pair = make_pair(1, 3, use_batch_norm=True, use_pooling=True)
    for layer in pair:
        assert layer.norm is not None
        layer.norm.reset_running_stats()
        layer.norm.momentum = None
    for _ in range(3):
        assert_same_training(*pair, torch.randn(5, 1, 6, 6, dtype=torch.double))


def test_layers_keep_their_names_and_weights_and_others_are_left_alone() -> None:
    network = torch.nn.Sequential(
        ConvLayer(1, 6, 3, use_batch_norm=True, use_pooling=True), torch.nn.Conv2d(6, 2, 3)
    )
    before = network.state_dict()
    kernels.accelerate(network)
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert type(network[0]) is not ConvLayer
    assert type(network[1]) is torch.nn.Conv2d


@pytest.mark.parametrize("use_pooling", [True, False])
@pytest.mark.parametrize("use_batch_norm", [True, False])
@pytest.mark.parametrize(
    ("channels", "kernel_size", "size"),
    [(1, 3, (28, 28)), (1, 5, (8, 12)), (3, 3, (6, 6)), (2, 1, (4, 4))],
)
@pytest.mark.parametrize("gain", [0.5, -2])
def test_first_layer(
    channels: int,
    kernel_size: int,
    size: tuple[int, int],
    use_batch_norm: bool,
    use_pooling: bool,
    gain: float,
) -> None:
    pair = make_pair(
        channels, kernel_size, use_batch_norm=use_batch_norm, use_pooling=use_pooling, gain=gain
    )
    assert_same_training(*pair, torch.randn(5, channels, *size, dtype=torch.double))


@pytest.mark.parametrize("use_pooling", [True, False])
@pytest.mark.parametrize("use_batch_norm", [True, False])
@pytest.mark.parametrize(
    ("out_channels", "size"), [(6, (6, 6)), (6, (7, 5)), (64, (6, 6)), (64, (7, 5)), (64, (14, 15))]
)
@pytest.mark.parametrize("gain", [0.5, -2])
def test_later_layers(
    out_channels: int, size: tuple[int, int], use_batch_norm: bool, use_pooling: bool, gain: float
) -> None:
    pair = make_pair(
        *(32, 3),
        use_batch_norm=use_batch_norm,
        use_pooling=use_pooling,
        gain=gain,
        out_channels=out_channels,
    )
    maps = torch.randn(5, 32, *size, dtype=torch.double).to(memory_format=torch.channels_last)
    assert_same_training(*pair, maps.requires_grad_())


@pytest.mark.parametrize("use_pooling", [True, False])
@pytest.mark.parametrize("use_batch_norm", [True, False])
@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (1, (7, 5)), (32, (6, 6)), (32, (7, 5))])
@pytest.mark.parametrize("out_channels", [6, 64])
@torch.inference_mode()
def test_evaluation_uses_running_statistics(
    channels: int, out_channels: int, size: tuple[int, int], use_batch_norm: bool, use_pooling: bool
) -> None:
    fast, slow = make_pair(
        *(channels, 3),
        use_batch_norm=use_batch_norm,
        use_pooling=use_pooling,
        gain=-2,
        out_channels=out_channels,
    )
    images = torch.randn(5, channels, *size, dtype=torch.double)
    torch.testing.assert_close(fast.eval()(images), slow.eval()(images))
    for name, buffer in fast.named_buffers():
        torch.testing.assert_close(buffer, slow.get_buffer(name))


@pytest.mark.parametrize("channels", [1, 40])
def test_the_first_of_equal_values_gets_the_gradient_as_in_max_pooling(channels: int) -> None:
    fast, slow = make_pair(channels, 3, use_batch_norm=False, use_pooling=True)
    # Each inner window contains four equal values.
    images = torch.ones(2, channels, 6, 6, dtype=torch.double, requires_grad=channels > 1)
    assert_same_training(fast, slow, images)


@pytest.mark.parametrize("size", [(28, 28), (14, 14), (7, 7)])
def test_single_precision_differs_only_by_rounding(size: tuple[int, int]) -> None:
    fast, exact = make_pair(32, 3, use_batch_norm=False, use_pooling=False, out_channels=64)
    for layer in (fast, exact):
        # Rounding could change the sign of outputs near zero, and with it the gradient.
        torch.nn.init.constant_(layer.get_parameter("conv.bias"), 5)
    fast.float()
    maps = torch.randn(32, 32, *size)
    inputs = maps.requires_grad_(), maps.detach().double().requires_grad_()
    outputs = fast(inputs[0]), exact(inputs[1])
    gradient = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(gradient.to(output))
    pairs = [outputs, (inputs[0].grad, inputs[1].grad)]
    parameters = zip(fast.parameters(), exact.parameters(), strict=True)
    pairs += [(one.grad, other.grad) for one, other in parameters]
    for one, other in pairs:
        assert (one - other).norm() < 1e-5 * other.norm()


@pytest.mark.parametrize(("channels", "out_channels"), [(1, 6), (32, 6), (32, 64)])
@pytest.mark.parametrize("not_a_number", [math.nan, -math.nan, math.inf])
@pytest.mark.parametrize("precision", [torch.float, torch.bfloat16])
def test_a_non_finite_kernel_makes_all_outputs_non_finite(
    channels: int, out_channels: int, not_a_number: float, precision: torch.dtype
) -> None:
    layer = fast_copy(ConvLayer(channels, out_channels, 3, use_batch_norm=False, use_pooling=True))
    torch.nn.init.constant_(layer.conv.weight, not_a_number)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        outputs = layer(torch.randn(2, channels, 8, 8))
    assert not outputs.isfinite().any()


def test_mixed_precision_keeps_the_statistics_in_single_precision() -> None:
    layer = fast_copy(ConvLayer(1, 6, 3, use_batch_norm=True, use_pooling=True))
    images = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    statistics = []
    for mixed in (False, True):
        layer.get_submodule("norm").reset_running_stats()  # type: ignore[operator]
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            layer(images)
        statistics.append({name: buffer.clone() for name, buffer in layer.named_buffers()})
    torch.testing.assert_close(*statistics, rtol=1e-3, atol=1e-4)


SOURCE = Path(map_loops.__file__).parents[2]
PROGRAM = """
import sys
import torch
from cnn_ablation import kernels
from cnn_ablation.parts.layers import ConvLayer
for size in map(int, sys.argv[1:]):
    layer = ConvLayer(40, 6, 3, use_batch_norm=False, use_pooling=True)
    maps = torch.randn(2, 40, size, size, requires_grad=True)
    network = torch.nn.Sequential(layer)
    kernels.accelerate(network)
    torch.testing.assert_close(network(maps), layer(maps))
"""


def test_loops_of_two_shapes_are_cached_separately(tmp_path: Path) -> None:
    # With a shared cache file, one of two processes that compile at once would run the other's loops.
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", PROGRAM, "4", "6"], env=environment, check=True)
    assert len([*tmp_path.rglob("*rectify*.nbi")]) == 2
