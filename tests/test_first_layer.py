"""The fast first layer is the usual one: same function, same gradients, same statistics."""

import pytest
import torch

from cnn_ablation import first_layer
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
    assert first_layer.fits(fast.conv, images)
    outputs = fast(images), usual(slow, images)
    torch.testing.assert_close(*outputs)
    gradient = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(gradient)
    for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for name, buffer in fast.named_buffers():
        torch.testing.assert_close(buffer, slow.get_buffer(name))


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
    assert not first_layer.fits(conv, images)


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
