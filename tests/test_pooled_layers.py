"""The fast layers are the usual ones: same function, same gradients, same statistics."""

import pytest
import torch

from cnn_ablation import pooled_layers
from cnn_ablation.network import ConvLayer


def make_layer(channels: int, kernel_size: int, *, use_batch_norm: bool) -> ConvLayer:
    layer = ConvLayer(channels, 6, kernel_size, use_batch_norm=use_batch_norm, use_pooling=True).double()
    if layer.norm is not None:
        torch.nn.init.normal_(layer.norm.weight)  # of both signs
        torch.nn.init.normal_(layer.norm.bias)
    return layer


def usual(layer: ConvLayer, images: torch.Tensor) -> torch.Tensor:
    maps = layer.conv(images)
    if layer.norm is not None:
        maps = layer.norm(maps)
    return torch.nn.functional.max_pool2d(maps, 2).relu()


@pytest.mark.parametrize("use_batch_norm", [True, False])
@pytest.mark.parametrize(
    ("channels", "kernel_size", "size"),
    [(1, 3, (28, 28)), (1, 5, (8, 12)), (3, 3, (6, 6)), (2, 1, (4, 4))],
)
def test_function_gradients_and_statistics(
    channels: int, kernel_size: int, size: tuple[int, int], use_batch_norm: bool
) -> None:
    torch.manual_seed(0)
    fast = make_layer(channels, kernel_size, use_batch_norm=use_batch_norm)
    slow = make_layer(channels, kernel_size, use_batch_norm=use_batch_norm)
    slow.load_state_dict(fast.state_dict())
    images = torch.randn(5, channels, *size, dtype=torch.double)
    assert pooled_layers.fits_convolution(fast.conv, images)
    outputs = fast(images), usual(slow, images)
    torch.testing.assert_close(*outputs)
    gradient = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(gradient)
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for name, buffer in fast.named_buffers():
        torch.testing.assert_close(buffer, slow.get_buffer(name))


@pytest.mark.parametrize("size", [(6, 6), (7, 5)])
def test_later_layers_too(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    fast, slow = (make_layer(40, 3, use_batch_norm=True) for _ in range(2))
    assert fast.norm is not None
    torch.nn.init.uniform_(fast.norm.weight, 0.5, 2)
    slow.load_state_dict(fast.state_dict())
    maps = torch.randn(5, 40, *size, dtype=torch.double).to(memory_format=torch.channels_last)
    inputs = [maps.clone().requires_grad_() for _ in range(2)]
    assert pooled_layers.fits_norm(fast.norm, fast.conv(inputs[0]))
    outputs = fast(inputs[0]), usual(slow, inputs[1])
    torch.testing.assert_close(*outputs)
    gradient = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(gradient)
    # Statistics of normalization are taken in single precision.
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-5)
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-5)
    for name, buffer in fast.named_buffers():
        torch.testing.assert_close(buffer, slow.get_buffer(name))


def test_a_negative_gain_is_left_to_the_usual_layers() -> None:
    layer = make_layer(40, 3, use_batch_norm=True)
    assert layer.norm is not None
    torch.nn.init.constant_(layer.norm.weight, -1.0)
    maps = layer.conv(torch.randn(2, 40, 6, 6, dtype=torch.double))
    assert not pooled_layers.fits_norm(layer.norm, maps.to(memory_format=torch.channels_last))


def test_of_equal_values_the_first_gets_the_gradient_as_in_max_pooling() -> None:
    layer = make_layer(1, 3, use_batch_norm=False)
    images = torch.ones(2, 1, 6, 6, dtype=torch.double)  # all windows inside are four equal values
    layer(images).sum().backward()
    fast = layer.conv.weight.grad
    layer.conv.weight.grad = None
    usual(layer, images).sum().backward()
    torch.testing.assert_close(fast, layer.conv.weight.grad)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 1, 7, 8),  # an odd side: pooling drops a row, normalization counts it
        torch.zeros(1, 32, 8, 8),  # patches so large that the usual layers are faster
        torch.zeros(1, 1, 8, 8, requires_grad=True),
    ],
)
def test_leaves_to_the_usual_layers_what_it_cannot_do(images: torch.Tensor) -> None:
    conv = torch.nn.Conv2d(images.shape[1], 4, 3, padding=1)
    assert not pooled_layers.fits_convolution(conv, images)


def test_mixed_precision_keeps_the_statistics_exact() -> None:
    layer = ConvLayer(1, 6, 3, use_batch_norm=True, use_pooling=True)
    images = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    statistics = []
    for mixed in (False, True):
        layer.get_submodule("norm").reset_running_stats()  # type: ignore[operator]
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            layer(images)
        statistics.append({name: buffer.clone() for name, buffer in layer.named_buffers()})
    torch.testing.assert_close(*statistics, rtol=0, atol=0)
