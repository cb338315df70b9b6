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

from functools import cache
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_ablation.kernels.arrays import flat_array
from cnn_ablation.kernels.map_loops import CONSTANT, MEAN, ROWS, SCALE, SHIFT, SLOPE, compile_loops
from cnn_ablation.kernels.winograd import suits_winograd, winograd_convolution

MAX_PATCH = 32
"""Largest number of kernel elements (channels times area) for which the matrix product is faster."""


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
    if suits_winograd(images, weight):
        maps = winograd_convolution(images, weight, bias)
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


def _normalize_pool_rectify(maps: Tensor, norm: nn.BatchNorm2d | None, side: int) -> Tensor:
    """Apply normalization (in training), max pooling and ReLU. The backward pass overwrites the maps."""
    if norm is None:
        return cast(Tensor, _NormalizePoolRectify.apply(maps, side, None, None, 0.0)[0])
    result, mean, variance = _NormalizePoolRectify.apply(maps, side, norm.weight, norm.bias, norm.eps)
    size = maps.numel() // maps.shape[1]
    batches = cast(Tensor, norm.num_batches_tracked).add_(1)
    # Without a momentum, the running statistics are the mean over all batches, as in PyTorch.
    momentum = 1 / batches.item() if norm.momentum is None else norm.momentum
    for running, moment in (
        (norm.running_mean, mean),
        (norm.running_var, variance * (size / (size - 1))),
    ):
        cast(Tensor, running).lerp_(moment, momentum)
    return cast(Tensor, result)


class _NormalizePoolRectify(torch.autograd.Function):
    """Batch normalization (Ioffe & Szegedy, 2015; skipped without a gain), max pooling and ReLU."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, side: int, gain: Tensor | None, offset: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        count, channels, height, width = maps.shape
        maps = maps.permute(0, 2, 3, 1).contiguous()
        flat = flat_array(maps)
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
        loops.rectify(flat, vectors.ravel(), flat_array(result))
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
        flat = flat_array(maps)
        gradient = flat_array(gradients[0].permute(0, 2, 3, 1).contiguous())
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
