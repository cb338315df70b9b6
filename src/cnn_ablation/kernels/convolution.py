"""A convolutional layer for CPUs that reads and writes the maps fewer times than PyTorch's layers.

Normalization, pooling and ReLU are limited by memory bandwidth, and PyTorch's layers read and write
whole maps for each of them. In training, the code here reads the maps once for their moments and once
for everything else. In evaluation, normalization is folded into the kernels.

With few input channels, the convolution is a matrix product. The outputs in a pooling window of p x p
pixels depend on a region of (kernel_size + p - 1)^2 input pixels. The product multiplies each region by
p^2 copies of the kernel, one for each position in the region. It thus computes all outputs of a window
side by side.

With more channels, 3x3 kernels in fp32 use Winograd's algorithm.

Outputs and gradients equal those of PyTorch's layers, up to rounding.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cnn_ablation.kernels import tile_loops
from cnn_ablation.kernels.map_loops import CONSTANT, MEAN, ROWS, SCALE, SHIFT, SLOPE, compile_loops

MAX_PATCH = 32
"""Largest number of kernel elements (channels times area) for which the matrix product is faster."""

MIN_CHANNELS = 16
"""Smallest number of input and output channels for which Winograd's algorithm is faster."""

PLACES = tile_loops.SPAN**2
"""Number of elements per tile."""


def convolve(
    images: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, *, pool: bool, training: bool
) -> Tensor:
    """Apply a convolution, batch normalization, 2x2 max pooling and ReLU to images on the CPU.

    Args:
        images: float (N, channels, height, width), on the CPU.
        conv: Convolution with stride 1 and a padding that keeps the size.
        norm: Batch normalization, or None to skip it. Training updates its running statistics.
        pool: Whether to apply max pooling.
        training: Whether to normalize with the statistics of the batch instead of the running ones.

    Returns:
        Maps of shape (N, conv.out_channels, height, width). Pooling halves height and width.
    """
    weight, bias = conv.weight, cast(Tensor, conv.bias)
    if norm is not None and not training:
        weight, bias = _fold(weight, bias, norm)
        norm = None
    side = 2 if pool else 1
    small = weight[0].numel() <= MAX_PATCH and not images.requires_grad
    if small and images.shape[2] % side == images.shape[3] % side == 0:
        count, _, height, width = images.shape
        windows = _normalize_pool_rectify(_product_convolution(images, weight, bias, side), norm, side)
        return windows.view(count, -1, height // side, width // side)
    if _suits_tiles(images, weight):
        maps = cast(Tensor, _WinogradConvolution.apply(images, weight, bias))
    else:
        maps = F.conv2d(images, weight, bias, padding=conv.padding)
    return _normalize_pool_rectify(maps, norm, side)


def _fold(weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Fold normalization with the running statistics into weights and biases."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return weight * scale[:, None, None, None], norm.bias + (bias - mean) * scale


def _product_convolution(images: Tensor, weight: Tensor, bias: Tensor, side: int) -> Tensor:
    """Convolve; return (N, out_channels, windows * side, side), with the pixels of a window adjacent."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
    with torch.autocast("cpu", enabled=False):
        outputs = cast(Tensor, _ProductConvolution.apply(images, weight, bias, dtype, side))
    return outputs.view(len(images), -1, side, len(weight)).permute(0, 3, 1, 2)


def _regions(images: Tensor, kernel_size: int, side: int) -> Tensor:
    """Regions as columns, (channels * (kernel_size + side - 1)^2 + 1, windows). The last row is ones."""
    count, channels, height, width = images.shape
    span = kernel_size + side - 1
    windows = (count, height // side, width // side)
    padded = F.pad(images, (kernel_size // 2,) * 4)
    image, channel, row, column = padded.stride()
    regions = images.new_empty(channels * span**2 + 1, *windows)
    regions[:-1].view(channels, span, span, *windows).copy_(
        padded.as_strided(
            (channels, span, span, *windows),
            (channel, row, column, image, side * row, side * column),
        )
    )
    regions[-1] = 1
    return regions.flatten(1)


@cache
def _spreading(channels: int, kernel_size: int, side: int) -> tuple[Tensor, Tensor]:
    """Indices that copy a kernel's rows to each of its positions in a region, and back.

    The rows of a kernel are its elements, its bias, and one row of zeros.

    Returns:
        The row of the kernel for each element of (region + 1, side^2), flat, where the last element of a
        region is the constant one; and the inverse, (side^2, patch + 1): the flat positions of each row
        except the zeros.
    """
    span = kernel_size + side - 1
    region = torch.arange(channels * span**2).view(channels, span, span)
    kernels = region.unfold(1, kernel_size, 1).unfold(2, kernel_size, 1)
    places = kernels.permute(1, 2, 0, 3, 4).reshape(side**2, -1)
    count, patch = places.shape
    ones = region.numel()
    targets = torch.cat([places, places.new_full((count, 1), ones)], 1) * count
    targets += torch.arange(count)[:, None]
    sources = places.new_full(((ones + 1) * count,), patch + 1)
    sources[targets] = torch.arange(patch + 1)
    return sources, targets


class _ProductConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype, side: int
    ) -> Tensor:
        out_channels, channels, kernel_size, _ = weight.shape
        regions = _regions(images.to(dtype), kernel_size, side)
        rows = torch.cat([weight.flatten(1).t(), bias[None], bias.new_zeros(1, out_channels)])
        spread_rows = rows.to(dtype).index_select(0, _spreading(channels, kernel_size, side)[0])
        ctx.side = side
        ctx.save_for_backward(regions, weight)
        return regions.t() @ spread_rows.view(len(regions), -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        regions, weight = ctx.saved_tensors
        d_spread_rows = (regions @ gradients[0]).to(weight).view(-1, len(weight))
        targets = _spreading(*weight.shape[1:3], ctx.side)[1]
        d_rows = d_spread_rows.index_select(0, targets.flatten()).view(*targets.shape, -1).sum(0)
        return None, d_rows[:-1].t().reshape(weight.shape), d_rows[-1], None, None


def _suits_tiles(images: Tensor, weight: Tensor) -> bool:
    """Whether to use Winograd's algorithm, which is slow if tiles reach far beyond the images."""
    height, width = images.shape[2:]
    outputs = tile_loops.count_tiles(height, width) * tile_loops.STRIDE**2
    return (
        weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= MIN_CHANNELS
        and outputs <= 2 * height * width
        and not torch.is_autocast_enabled("cpu")
    )


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
        tiles = images.new_zeros(PLACES, tile_loops.ROWS, channels)
        products = images.new_empty(PLACES, tile_loops.ROWS, len(weight))
        inputs, outputs = (
            tile_loops.compile_loops(number, str(images.dtype)) for number in (channels, len(weight))
        )
        flat_images, flat_tiles, flat_products, flat_result = map(
            _flat, (images, tiles, products, result)
        )
        for first, some in _portions(count * tile_loops.count_tiles(*size)):
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
        tiles = images.new_zeros(PLACES, tile_loops.ROWS, channels)
        d_products = images.new_zeros(PLACES, tile_loops.ROWS, gradient.shape[-1])
        inputs, outputs = (
            tile_loops.compile_loops(number, str(images.dtype))
            for number in (channels, gradient.shape[-1])
        )
        flat_images, flat_gradient, flat_d_images = map(_flat, (images, gradient, d_images))
        flat_tiles, flat_d_products = map(_flat, (tiles, d_products))
        for first, some in _portions(count * tile_loops.count_tiles(*size)):
            if some < tile_loops.TILES:
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
    for first in range(0, count, tile_loops.TILES):
        yield first, min(tile_loops.TILES, count - first)


@cache
def _kernel_transform(dtype: torch.dtype) -> Tensor:
    """Matrix, (36, 9), that transforms the elements of a 3x3 kernel to those of a 6x6 tile."""
    one_way = torch.tensor(
        [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.double
    )
    return (torch.kron(one_way, one_way) / 24**2).to(dtype)


def _normalize_pool_rectify(maps: Tensor, norm: nn.BatchNorm2d | None, side: int) -> Tensor:
    """Apply normalization (in training), max pooling and ReLU. The backward pass overwrites the maps."""
    if norm is None:
        return cast(Tensor, _NormalizePoolRectify.apply(maps, side, None, None, 0.0)[0])
    result, mean, variance = _NormalizePoolRectify.apply(maps, side, norm.weight, norm.bias, norm.eps)
    size = maps.numel() // maps.shape[1]
    momentum = cast(float, norm.momentum)
    for running, moment in (
        (norm.running_mean, mean),
        (norm.running_var, variance * (size / (size - 1))),
    ):
        cast(Tensor, running).lerp_(moment, momentum)
    cast(Tensor, norm.num_batches_tracked).add_(1)
    return cast(Tensor, result)


class _NormalizePoolRectify(torch.autograd.Function):
    """Batch normalization (Ioffe & Szegedy, 2015; skipped without a gain), max pooling and ReLU."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, side: int, gain: Tensor | None, offset: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        count, channels, height, width = maps.shape
        maps = maps.permute(0, 2, 3, 1).contiguous()
        flat = _flat(maps)
        vectors = np.zeros((ROWS, channels), np.float64 if maps.dtype == torch.double else np.float32)
        loops = compile_loops(height, width, channels, side, str(maps.dtype))
        mean = variance = inverse = None
        if gain is None or offset is None:
            vectors[SCALE] = 1
        else:
            sums = np.zeros((2, channels))
            loops.moments(flat, vectors.ravel(), sums.ravel())
            mean, square = sums * (channels / len(flat))
            variance = np.maximum(square - mean**2, 0)  # Rounding can make it negative.
            inverse = 1 / np.sqrt(variance + eps)
            vectors[SCALE] = gain.numpy() * inverse
            vectors[SHIFT] = offset.numpy() - vectors[SCALE] * mean
            vectors[MEAN] = mean
        result = maps.new_empty(count, height // side, width // side, channels)
        loops.rectify(flat, vectors.ravel(), _flat(result))
        ctx.loops, ctx.vectors, ctx.inverse, ctx.gain = loops, vectors, inverse, gain
        ctx.save_for_backward(maps)
        moments = [
            None if moment is None else torch.from_numpy(moment).to(gain) for moment in (mean, variance)
        ]
        ctx.mark_non_differentiable(*(moment for moment in moments if moment is not None))
        return result.permute(0, 3, 1, 2), moments[0], moments[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (maps,) = ctx.saved_tensors
        flat = _flat(maps)
        gradient = _flat(gradients[0].permute(0, 2, 3, 1).contiguous())
        vectors = ctx.vectors
        d_gain = d_offset = None
        if ctx.inverse is not None:
            sums = np.zeros((2, maps.shape[-1]))
            ctx.loops.reduce(flat, gradient, vectors.ravel(), sums.ravel())
            # The gradient also flows through the moments to every pixel, linearly in the pixel's value.
            share, slope = sums * (-vectors[SCALE] * (maps.shape[-1] / len(flat)))
            vectors[SLOPE] = slope * ctx.inverse**2
            vectors[CONSTANT] = share - vectors[SLOPE] * vectors[MEAN]
            d_offset, d_gain = (
                torch.from_numpy(row).to(ctx.gain) for row in (sums[0], sums[1] * ctx.inverse)
            )
        ctx.loops.spread(flat, gradient, vectors.ravel())
        return maps.permute(0, 3, 1, 2), None, d_gain, d_offset, None


def _flat(maps: Tensor) -> NDArray[Any]:
    """View maps as the flat array that the loops expect, with bf16 as int16."""
    flat = maps.flatten()
    return (flat.view(torch.int16) if flat.dtype == torch.bfloat16 else flat).numpy()
