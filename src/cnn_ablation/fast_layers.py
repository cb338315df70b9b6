"""A convolutional layer on a CPU, in fewer passes over the maps.

Normalization and pooling are bound by memory, not arithmetic: the usual layers read and write whole maps
for each, though pooling leaves a quarter of them. Here, in training, normalization comes after pooling,
with which it commutes where the gain is positive, and what flows back through pooling is selected with
integers. In evaluation normalization is part of the kernels.

The first layer goes further: with few input channels all of it is a single matrix product, because

- the convolutions of a pooling window, of p x p pixels, together see (kernel_size + p - 1)^2 pixels, its
  region: regions times the kernel, once for each of its p^2 places in the region, gives all outputs side
  by side, and pooling is an elementwise maximum of them;
- convolution is linear, so mean and variance of its output over a batch follow from mean and covariance
  of the pixels; normalizing is then scaling the kernels beforehand.

The functions and their gradients are those of the usual layers, up to rounding.
"""

import math
from collections.abc import Sequence
from functools import cache, reduce
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_PATCH = 32
"""Elements of a kernel (channels times area) up to which a matrix product is faster than PyTorch."""


def convolve(
    images: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, *, pool: bool, training: bool
) -> Tensor:
    """What conv, norm, if wanted 2x2 max pooling, and ReLU make of the images.

    Args:
        images: float (N, channels, height, width), on the CPU.
        conv: Of stride 1, padded to keep the size.
        norm: Batch normalization, whose running statistics are updated in training; None for none.
        pool: Whether to pool.
        training: Whether to normalize by the batch's statistics, not the running ones.

    Returns:
        (N, conv.out_channels, height, width), halved in height and width by pooling.
    """
    weight, bias = conv.weight, cast(Tensor, conv.bias)
    if norm is not None and not training:
        weight, bias = _fold(weight, bias, norm)
        norm = None
    side = 2 if pool else 1
    small = weight[0].numel() <= MAX_PATCH and not images.requires_grad
    if small and images.shape[2] % side == images.shape[3] % side == 0:
        return _product_convolution(images, weight, bias, norm, side)
    maps = F.conv2d(images, weight, bias, padding=conv.padding)
    # A negative gain would have the smallest pixel of a window win.
    if pool and norm is not None and bool((norm.weight > 0).all()):
        return _pooled_norm(maps, norm).relu_()
    if norm is not None:
        maps = norm(maps)
    return _max_pool(maps).relu() if pool else maps.relu_()


def _fold(weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernels and biases that normalize by the running statistics."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return weight * scale[:, None, None, None], norm.bias + (bias - mean) * scale


def _product_convolution(
    images: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d | None, side: int
) -> Tensor:
    """The whole layer as a product, in channels_last order and autocast's precision."""
    count, _, height, width = images.shape
    gain_offset = (None, None) if norm is None else (norm.weight, norm.bias)
    eps = 0.0 if norm is None else norm.eps
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
    with torch.autocast("cpu", enabled=False):
        result, mean, variance = _ProductConvolution.apply(
            images, weight, bias, *gain_offset, eps, dtype, side
        )
    if norm is not None:
        size = count * height * width
        _track(norm, mean, variance * (size / (size - 1)))
    maps = cast(Tensor, result).view(count, height // side, width // side, -1)
    return maps.permute(0, 3, 1, 2)


def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics with those of a batch."""
    momentum = cast(float, norm.momentum)
    for running, value in ((norm.running_mean, mean), (norm.running_var, variance)):
        cast(Tensor, running).lerp_(value, momentum)
    cast(Tensor, norm.num_batches_tracked).add_(1)


def _pooled_norm(maps: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Normalization, in training, and 2x2 max pooling; overwrites the maps in the backward pass."""
    cast(Tensor, norm.num_batches_tracked).add_(1)
    return cast(
        Tensor,
        _PooledNorm.apply(
            maps,
            norm.weight,
            norm.bias,
            norm.running_mean,
            norm.running_var,
            norm.momentum,
            norm.eps,
        ),
    )


def _max_pool(maps: Tensor) -> Tensor:
    """2x2 max pooling; overwrites the maps in the backward pass."""
    return cast(Tensor, _MaxPool.apply(maps))


def _regions(images: Tensor, kernel_size: int, side: int) -> Tensor:
    """Regions as columns, (channels * (kernel_size + side - 1)^2 + 1, windows); the last row is ones."""
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
def _places(channels: int, kernel_size: int, side: int) -> Tensor:
    """Where in a region the kernel lies in each of its places, (side^2, channels * kernel_size^2)."""
    span = kernel_size + side - 1
    region = torch.arange(channels * span**2).view(channels, span, span)
    kernels = region.unfold(1, kernel_size, 1).unfold(2, kernel_size, 1)
    return kernels.permute(1, 2, 0, 3, 4).reshape(side**2, -1)


@cache
def _pairs(channels: int, kernel_size: int, side: int) -> Tensor:
    """Where in a matrix over a region each place has its own, (side^2, patch, patch), flattened."""
    places = _places(channels, kernel_size, side)
    return places[:, :, None] * (channels * (kernel_size + side - 1) ** 2) + places[:, None]


@cache
def _spreading(channels: int, kernel_size: int, side: int) -> tuple[Tensor, Tensor]:
    """How a kernel's rows spread over those of its places side by side.

    The rows of a kernel are its elements, its shift, and zeros. The first index has a row of them for
    each of (region + 1, side^2), whose last region is the ones; the second, (side^2, patch + 1), says
    where each row but the zeros went.
    """
    places = _places(channels, kernel_size, side)
    count, patch = places.shape
    ones = channels * (kernel_size + side - 1) ** 2
    targets = torch.cat([places, places.new_full((count, 1), ones)], 1) * count
    targets += torch.arange(count)[:, None]
    sources = places.new_full(((ones + 1) * count,), patch + 1)
    sources[targets] = torch.arange(patch + 1)
    return sources, targets


class _ProductConvolution(torch.autograd.Function):
    """The matrix product, in autocast's precision; what becomes of the kernels is in their own."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        gain: Tensor | None,
        offset: Tensor | None,
        eps: float,
        dtype: torch.dtype,
        side: int,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        out_channels, channels, kernel_size, _ = weight.shape
        form = channels, kernel_size, side
        regions = _regions(images, kernel_size, side)
        kernels = weight.flatten(1)
        mean = variance = None
        saved: tuple[Tensor, ...] = ()
        if gain is None or offset is None:
            scaled, shift = kernels, bias
        else:
            # Batch normalization (Ioffe & Szegedy, 2015) of a linear map, from its inputs' moments.
            pixels = regions[:-1]
            size = side**2 * pixels.shape[1]
            mean_patch = pixels.sum(1).take(_places(*form)).sum(0).div_(size)
            covariance = (pixels @ pixels.t()).take(_pairs(*form)).sum(0).div_(size)
            covariance.addr_(mean_patch, mean_patch, alpha=-1)
            spread = kernels @ covariance
            variance = (spread * kernels).sum(1).clamp_min_(0)  # Which rounding may leave below.
            centre = kernels @ mean_patch
            mean = centre + bias
            inverse = (variance + eps).rsqrt_()
            scale = gain * inverse
            scaled, shift = kernels * scale[:, None], offset - scale * centre
            saved = (scale, inverse, centre, mean_patch, spread)
        rows = torch.cat([scaled.t(), shift[None], shift.new_zeros(1, out_channels)])
        spread_rows = rows.to(dtype).index_select(0, _spreading(*form)[0])
        regions = regions.to(dtype)
        outputs = regions.t() @ spread_rows.view(len(regions), -1)
        if not math.isfinite(rows.sum().item()):
            # Of the NaNs that these may make, integers would order some below every number.
            outputs.fill_(math.nan)
        outputs = outputs.view(-1, side**2, out_channels)
        # ReLU leaves nothing negative, and the bits of what is not are ordered as integers are.
        result = _largest(_bits(outputs).unbind(1)).clamp_min_(0).view(dtype)
        ctx.side = side
        ctx.save_for_backward(regions, outputs, result, weight, *saved)
        ctx.mark_non_differentiable(*(moment for moment in (mean, variance) if moment is not None))
        return result, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        regions, outputs, result, weight, *saved = ctx.saved_tensors
        # Bits of 0 where ReLU cuts off, of 1 elsewhere, times the gradient's.
        gradient = _bits(result).clamp_max(1).mul_(_bits(gradients[0])).view(result.dtype)
        if ctx.side == 1:
            outputs = gradient
        else:
            _select(outputs.unbind(1), result, gradient)
        d_spread_rows = (regions @ outputs.flatten(1)).to(weight).view(-1, len(weight))
        targets = _spreading(*weight.shape[1:3], ctx.side)[1]
        d_rows = d_spread_rows.index_select(0, targets.flatten()).view(*targets.shape, -1).sum(0)
        d_scaled, d_shift = d_rows[:-1].t(), d_rows[-1]
        if not saved:
            return None, d_scaled.reshape(weight.shape), d_shift, *(None,) * 5
        scale, inverse, centre, mean_patch, spread = saved
        kernels = weight.flatten(1)
        d_scale = (d_scaled * kernels).sum(1) - d_shift * centre
        d_variance = -0.5 * d_scale * scale * inverse**2
        d_kernels = d_scaled * scale[:, None] + (2 * d_variance)[:, None] * spread
        d_kernels.addr_(d_shift * scale, mean_patch, alpha=-1)
        # Normalization takes away again whatever the bias adds.
        d_weight, d_bias = d_kernels.view(weight.shape), weight.new_zeros(len(weight))
        return None, d_weight, d_bias, d_scale * inverse, d_shift, *(None,) * 3


class _PooledNorm(torch.autograd.Function):
    """Batch normalization (Ioffe & Szegedy, 2015) of what pooling leaves, by all pixels' moments."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        gain: Tensor,
        offset: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        mean, variance = torch.batch_norm_update_stats(maps, running_mean, running_var, momentum)
        largest = _largest(_quarters(maps))
        ctx.save_for_backward(maps, largest, gain, mean, variance)
        ctx.eps = eps
        return F.batch_norm(largest, mean, variance, gain, offset, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        maps, largest, gain, mean, variance = ctx.saved_tensors
        gradient = gradients[0]
        normal = F.batch_norm(largest, mean, variance, eps=ctx.eps)
        d_offset = gradient.sum((0, 2, 3), dtype=gain.dtype)
        d_gain = (gradient * normal).sum((0, 2, 3), dtype=gain.dtype)
        # Through the moments it reaches every pixel, as a multiple of the normalized maps; directly,
        # only the largest of each window.
        scale = gain * (variance + ctx.eps).rsqrt()
        share = -scale / (maps.numel() / len(gain))
        d_maps = F.batch_norm(maps, mean, variance, share * d_gain, share * d_offset, eps=ctx.eps)
        direct = gradient * scale.to(gradient.dtype)[:, None, None]
        return d_maps.add_(_unpool(maps, largest, direct)), d_gain, d_offset, *(None,) * 4


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        largest = _largest(_quarters(maps))
        ctx.save_for_backward(maps, largest)
        return largest

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        maps, largest = ctx.saved_tensors
        return _unpool(maps, largest, gradients[0])


def _quarters(maps: Tensor) -> list[Tensor]:
    """Views of all windows' upper left pixels, their upper right, lower left and lower right ones."""
    height, width = maps.shape[2] // 2 * 2, maps.shape[3] // 2 * 2
    return [maps[:, :, row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]


def _unpool(maps: Tensor, largest: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of pooled maps as that of the maps, which it overwrites."""
    _select(_quarters(maps), largest, gradient)
    for leftover in (maps[:, :, 2 * largest.shape[2] :], maps[:, :, :, 2 * largest.shape[3] :]):
        leftover.zero_()
    return maps


def _largest(candidates: Sequence[Tensor]) -> Tensor:
    return reduce(torch.maximum, candidates)


def _select(candidates: Sequence[Tensor], largest: Tensor, gradient: Tensor) -> None:
    """Overwrite the candidates with the gradient where they are the largest, with 0 elsewhere.

    Of several that are, the first has it, as in PyTorch's max pooling.
    """
    left, largest = _bits(gradient), _bits(largest)
    for candidate in candidates[:-1]:
        chosen = _bits(candidate).eq_(largest).mul_(left)
        left = left.bitwise_xor(chosen)
    _bits(candidates[-1]).copy_(left)


def _bits(floats: Tensor) -> Tensor:
    """The same memory as integers, which PyTorch compares and chooses in vectors; floats it does not."""
    size = floats.element_size()
    return floats.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[size])
