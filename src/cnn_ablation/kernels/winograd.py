"""3x3 convolutions by Winograd's algorithm, as autograd functions."""

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from cnn_ablation.kernels import winograd_loops
from cnn_ablation.kernels.arrays import flat_array

PLACES = winograd_loops.SPAN**2
"""Number of elements per tile."""


MIN_CHANNELS = 16
"""Smallest number of input and output channels for which Winograd's algorithm is faster."""


def suits_winograd(images: Tensor, weight: Tensor) -> bool:
    """Whether to use Winograd's algorithm, which is slow if tiles reach far beyond the images."""
    height, width = images.shape[2:]
    outputs = winograd_loops.count_tiles(height, width) * winograd_loops.STRIDE**2
    return (
        weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= MIN_CHANNELS
        and outputs <= 2 * height * width
        and not torch.is_autocast_enabled("cpu")
    )


def winograd_convolution(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve images, float (N, channels, height, width), padded to keep their size.

    Args:
        images: Images on the CPU.
        weight: Kernels, (out_channels, channels, 3, 3); see `suits_winograd`.
        bias: Biases, (out_channels,).

    Returns:
        Maps, (N, out_channels, height, width).
    """
    return cast(Tensor, _WinogradConvolution.apply(images, weight, bias))


class _WinogradConvolution(torch.autograd.Function):
    """Winograd's F(4x4, 3x3) (Lavin & Gray, 2016): 36 multiplications for 16 outputs instead of 144."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        count, channels, *size = images.shape
        images = images.permute(0, 2, 3, 1).contiguous()
        kernels = (_kernel_transform(weight.dtype) @ weight.reshape(-1, 9).t()).view(
            PLACES, -1, channels
        )
        result = bias.repeat(count, *size, 1)
        tiles = images.new_zeros(PLACES, winograd_loops.ROWS, channels)
        products = images.new_empty(PLACES, winograd_loops.ROWS, len(weight))
        inputs, outputs = (
            winograd_loops.compile_loops(number, str(images.dtype)) for number in (channels, len(weight))
        )
        flat_images, flat_tiles, flat_products, flat_result = map(
            flat_array, (images, tiles, products, result)
        )
        for first, some in _portions(count * winograd_loops.count_tiles(*size)):
            inputs.split(flat_images, *size, first, some, flat_tiles)
            torch.bmm(tiles, kernels.transpose(1, 2), out=products)
            outputs.join(flat_products, first, some, flat_result, *size)
        ctx.save_for_backward(images, kernels)
        return result.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        images, kernels = ctx.saved_tensors
        count, *size, channels = images.shape
        gradient = gradients[0].permute(0, 2, 3, 1).contiguous()
        d_images, d_kernels = torch.zeros_like(images), torch.zeros_like(kernels)
        tiles = images.new_zeros(PLACES, winograd_loops.ROWS, channels)
        d_products = images.new_zeros(PLACES, winograd_loops.ROWS, gradient.shape[-1])
        inputs, outputs = (
            winograd_loops.compile_loops(number, str(images.dtype))
            for number in (channels, gradient.shape[-1])
        )
        flat_images, flat_gradient, flat_d_images = map(flat_array, (images, gradient, d_images))
        flat_tiles, flat_d_products = map(flat_array, (tiles, d_products))
        for first, some in _portions(count * winograd_loops.count_tiles(*size)):
            if some < winograd_loops.TILES:
                d_products.zero_()
            inputs.split(flat_images, *size, first, some, flat_tiles)
            outputs.unjoin(flat_gradient, *size, first, some, flat_d_products)
            d_kernels.baddbmm_(d_products.transpose(1, 2), tiles)
            torch.bmm(d_products, kernels, out=tiles)
            inputs.unsplit(flat_tiles, first, some, flat_d_images, *size)
        d_weight = (_kernel_transform(kernels.dtype).t() @ d_kernels.flatten(1)).t()
        return (
            d_images.permute(0, 3, 1, 2),
            d_weight.reshape(-1, channels, 3, 3),
            gradient.sum((0, 1, 2)),
        )


def _portions(count: int) -> Iterator[tuple[int, int]]:
    """Split `count` tiles into portions; yield the first tile and the number of tiles of each."""
    for first in range(0, count, winograd_loops.TILES):
        yield first, min(winograd_loops.TILES, count - first)


@cache
def _kernel_transform(dtype: torch.dtype) -> Tensor:
    """Matrix, (36, 9), that transforms the elements of a 3x3 kernel to those of a 6x6 tile."""
    one_way = torch.tensor(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.double
    )
    return (torch.kron(one_way, one_way) / 24**2).to(dtype)
