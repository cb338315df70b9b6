"""Convolutional layers with 2x2 max pooling in training on a CPU: fewer passes over the maps.

Normalization and pooling are bound by memory, not arithmetic: the usual layers read and write whole maps
for each, though pooling leaves a quarter of them. Here normalization comes after pooling, with which it
commutes where the gain is positive, and what flows back through pooling is selected with integers.

The first layer goes further: with few input channels all of it is a single matrix product, because

- the four convolutions of a 2x2 pooling window see (kernel_size + 1)^2 pixels, its region: regions times
  the kernel, once for each of its four places in the region, gives all four outputs side by side, and
  pooling is an elementwise maximum of them;
- convolution is linear, so mean and variance of its output over a batch follow from mean and covariance
  of the pixels; normalizing is then scaling the kernels beforehand.

The functions and their gradients are those of the usual layers, up to rounding.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_PATCH = 32
"""Elements of a kernel (channels times area) up to which this is faster than the usual layers."""


def fits_convolution(conv: nn.Conv2d, images: Tensor) -> bool:
    """Whether `pooled_convolution` takes these images: small kernels, even sides, no gradient wanted."""
    return (
        images.device.type == "cpu"
        and conv.weight[0].numel() <= MAX_PATCH
        and images.shape[2] % 2 == images.shape[3] % 2 == 0
        and not images.requires_grad
    )


def pooled_convolution(images: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> Tensor:
    """What conv, norm (in training mode) and 2x2 max pooling make of the images.

    Args:
        images: float (N, channels, height, width), sides even.
        conv: Of stride 1, padded to keep the size.
        norm: Batch normalization, whose running statistics are updated; None for none.

    Returns:
        (N, conv.out_channels, height / 2, width / 2) in channels_last order, in autocast's precision.
    """
    count, _, height, width = images.shape
    gain_offset = (None, None) if norm is None else (norm.weight, norm.bias)
    eps = 0.0 if norm is None else norm.eps
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
    with torch.autocast("cpu", enabled=False):
        pooled, mean, variance = _PooledConvolution.apply(
            images, conv.weight, conv.bias, *gain_offset, eps, dtype
        )
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            momentum = norm.momentum or 0.0
            size = count * height * width
            norm.running_mean.lerp_(mean.to(norm.running_mean), momentum)
            norm.running_var.lerp_((variance * (size / (size - 1))).to(norm.running_var), momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1
    return cast(Tensor, pooled).view(count, height // 2, width // 2, -1).permute(0, 3, 1, 2)


def fits_norm(norm: nn.BatchNorm2d, maps: Tensor) -> bool:
    """Whether `pooled_norm` takes these maps: channels last, gains positive, running statistics kept."""
    return (
        maps.device.type == "cpu"
        and norm.running_mean is not None
        and norm.momentum is not None
        and maps.is_contiguous(memory_format=torch.channels_last)
        and bool((norm.weight > 0).all())
    )


def pooled_norm(maps: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """What norm (in training mode) and 2x2 max pooling make of the maps, (N, channels, height, width).

    The maps are overwritten when the gradient is taken.
    """
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
    pooled = _PooledNorm.apply(
        maps, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps
    )
    return cast(Tensor, pooled)


def _regions(images: Tensor, kernel_size: int) -> Tensor:
    """Regions as columns, (channels * (kernel_size + 1)^2 + 1, windows); the last row is ones."""
    count, channels, height, width = images.shape
    side = kernel_size + 1
    windows = (count, height // 2, width // 2)
    padded = F.pad(images, (kernel_size // 2,) * 4)
    image, channel, row, column = padded.stride()
    regions = images.new_empty(channels * side**2 + 1, *windows)
    regions[:-1].view(channels, side, side, *windows).copy_(
        padded.as_strided(
            (channels, side, side, *windows), (channel, row, column, image, 2 * row, 2 * column)
        )
    )
    regions[-1] = 1
    return regions.flatten(1)


@cache
def _places(channels: int, kernel_size: int) -> Tensor:
    """Where in a region the kernel lies in each of its places, (4, channels * kernel_size^2)."""
    side = kernel_size + 1
    region = torch.arange(channels * side**2).view(channels, side, side)
    kernels = region.unfold(1, kernel_size, 1).unfold(2, kernel_size, 1)
    return kernels.permute(1, 2, 0, 3, 4).reshape(4, -1)


class _PooledConvolution(torch.autograd.Function):
    """The matrix product. What is made of the kernels is small: it is computed in double precision."""

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
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        out_channels, channels, kernel_size, _ = weight.shape
        regions = _regions(images, kernel_size)
        places = _places(channels, kernel_size)
        kernels = weight.flatten(1).double()
        mean = variance = None
        saved: tuple[Tensor, ...] = ()
        if gain is None or offset is None:
            scaled, shift = kernels, bias
        else:
            # Batch normalization (Ioffe & Szegedy, 2015) of a linear map, from its inputs' moments.
            pixels = regions[:-1]
            size = 4 * pixels.shape[1]
            mean_patch = pixels.sum(1).double()[places].sum(0) / size
            products = (pixels @ pixels.t()).double()
            covariance = products[places[:, :, None], places[:, None]].sum(0) / size
            covariance -= mean_patch[:, None] * mean_patch
            spread = kernels @ covariance
            variance = (spread * kernels).sum(1)
            centre = kernels @ mean_patch
            mean = centre + bias
            inverse = (variance + eps).rsqrt()
            scale = gain * inverse
            scaled, shift = kernels * scale[:, None], offset - scale * centre
            saved = (scale, inverse, centre, mean_patch, spread)
        placed = kernels.new_zeros(len(regions), 4, out_channels)
        placed[places, torch.arange(4)[:, None]] = scaled.t()
        placed[-1] = shift
        regions = regions.to(dtype)
        outputs = (regions.t() @ placed.flatten(1).to(dtype)).view(-1, 4, out_channels)
        largest = _largest(outputs.unbind(1))
        ctx.save_for_backward(regions, outputs, largest, weight, *saved)
        ctx.mark_non_differentiable(*(moment for moment in (mean, variance) if moment is not None))
        return largest, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        regions, outputs, largest, weight, *saved = ctx.saved_tensors
        _select(outputs.unbind(1), largest, gradients[0].contiguous())
        placed = (regions @ outputs.flatten(1)).view(len(regions), 4, -1).double()
        places = _places(*weight.shape[1:3])
        d_scaled = placed[places, torch.arange(4)[:, None]].sum(0).t()
        d_shift = placed[-1].sum(0)
        if not saved:
            d_weight, d_bias = d_scaled.reshape(weight.shape).to(weight), d_shift.to(weight)
            return None, d_weight, d_bias, None, None, None, None
        scale, inverse, centre, mean_patch, spread = saved
        kernels = weight.flatten(1).double()
        d_scale = (d_scaled * kernels).sum(1) - d_shift * centre
        d_variance = -0.5 * d_scale * scale * inverse**2
        d_kernels = (
            d_scaled * scale[:, None]
            - (d_shift * scale)[:, None] * mean_patch
            + 2 * d_variance[:, None] * spread
        )
        # Normalization takes away again whatever the bias adds.
        d_weight, d_bias = d_kernels.reshape(weight.shape).to(weight), weight.new_zeros(len(weight))
        return None, d_weight, d_bias, (d_scale * inverse).to(weight), d_shift.to(weight), None, None


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
        _select(_quarters(maps), largest, direct)
        for leftover in (maps[:, :, 2 * largest.shape[2] :], maps[:, :, :, 2 * largest.shape[3] :]):
            leftover.zero_()
        return d_maps.add_(maps), d_gain, d_offset, None, None, None, None


def _quarters(maps: Tensor) -> list[Tensor]:
    """Views of all windows' upper left pixels, their upper right, lower left and lower right ones."""
    height, width = maps.shape[2] // 2 * 2, maps.shape[3] // 2 * 2
    return [maps[:, :, row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]


def _largest(quarters: Sequence[Tensor]) -> Tensor:
    first, second, third, fourth = quarters
    return torch.maximum(torch.maximum(first, second), torch.maximum(third, fourth))


def _select(quarters: Sequence[Tensor], largest: Tensor, gradient: Tensor) -> None:
    """Overwrite four quarters with the gradient where they are the largest, with 0 elsewhere.

    Of several that are, the first has it, as in PyTorch's max pooling. Bits are selected as integers:
    PyTorch vectorizes that, but neither comparing nor choosing floats.
    """
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[largest.element_size()]
    left, largest = gradient.view(bits), largest.view(bits)
    for quarter in quarters[:-1]:
        chosen = quarter.view(bits).eq_(largest).neg_().bitwise_and_(left)
        left = left.bitwise_xor(chosen)
    quarters[-1].view(bits).copy_(left)
