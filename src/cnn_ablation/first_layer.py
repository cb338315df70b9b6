"""The first convolutional layer on a CPU: convolution, batch normalization and pooling in one.

On few input channels these are bound by memory, not arithmetic: each reads and writes a map four times
as large as what pooling leaves of it, and PyTorch's own take a third of a training step together. Here
they are a single matrix product over the images' patches, because

- convolution is linear, so mean and variance of its output over a batch follow from mean and covariance
  of the patches, a matrix of a few numbers; normalizing is then scaling the kernels beforehand;
- patches can be laid out by their place in the pooling window, so that pooling is an elementwise maximum
  of four matrices, and its gradient a selection among them.

The function and its gradient are those of the usual layers, up to rounding.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_PATCH = 32
"""Elements of a patch (channels times kernel area) up to which this is faster than the usual layers."""


def fits(conv: nn.Conv2d, images: Tensor) -> bool:
    """Whether `pooled_convolution` takes these images: small patches, even sides, no gradient wanted."""
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
    patches = _patches(images, conv.kernel_size[0])
    kernels = torch.cat([conv.weight.flatten(1), cast(Tensor, conv.bias)[:, None]], dim=1)
    if norm is not None:
        kernels = _normalized(kernels, patches, norm)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
    pooled: Tensor = _PooledProduct.apply(patches.to(dtype), kernels.t().to(dtype))
    return pooled.view(count, height // 2, width // 2, -1).permute(0, 3, 1, 2)


def _patches(images: Tensor, kernel_size: int) -> Tensor:
    """Patches as columns, (channels * kernel area + 1, 4 * windows); the last row is ones, for biases.

    The first quarter of the columns belongs to the upper left pixels of all pooling windows, the next
    ones to the upper right, lower left and lower right.
    """
    count, channels, height, width = images.shape
    windows = (2, 2, count, height // 2, width // 2)
    patches = images.new_empty(channels * kernel_size**2 + 1, *windows)
    padded = F.pad(images, (kernel_size // 2,) * 4)
    image, channel, row, column = padded.stride()
    patches[:-1].view(channels, kernel_size, kernel_size, *windows).copy_(
        padded.as_strided(
            (channels, kernel_size, kernel_size, *windows),
            (channel, row, column, row, column, image, 2 * row, 2 * column),
        )
    )
    patches[-1] = 1
    return patches.flatten(1)


def _normalized(kernels: Tensor, patches: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Kernels with biases, (out_channels, elements + 1), that give normalized products with the patches.

    It is batch normalization (Ioffe & Szegedy, 2015) of a linear map, from the moments of its inputs.
    """
    size = patches.shape[1]
    # Moments and what is made of them are small, and differences of large numbers: in double.
    moments = (patches @ patches.t()).double() / size
    mean_patch = moments[-1]
    covariance = moments - mean_patch[:, None] * mean_patch
    wide = kernels.double()
    mean = wide @ mean_patch
    variance = ((wide @ covariance) * wide).sum(1)
    if norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            momentum = norm.momentum or 0.0
            norm.running_mean.lerp_(mean.to(norm.running_mean), momentum)
            unbiased = variance * size / (size - 1)
            norm.running_var.lerp_(unbiased.to(norm.running_var), momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1
    scale = norm.weight.double() * (variance + norm.eps).rsqrt()
    shift = norm.bias.double() - mean * scale
    constant = torch.zeros_like(wide)
    constant[:, -1] = 1
    return (wide * scale[:, None] + constant * shift[:, None]).to(kernels)


class _PooledProduct(torch.autograd.Function):
    """Patches (elements, 4 * windows) times kernels (elements, channels), the largest per window."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, kernels: Tensor) -> Tensor:
        products = (patches.t() @ kernels).view(4, -1, kernels.shape[1])
        largest = torch.maximum(
            torch.maximum(products[0], products[1]), torch.maximum(products[2], products[3])
        )
        ctx.save_for_backward(patches, products, largest)
        return largest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        patches, products, largest = ctx.saved_tensors
        # The gradient goes to the first of the four that is the largest, as max pooling has it. Bits are
        # selected as integers: PyTorch vectorizes that, but neither comparing nor choosing floats.
        bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[products.element_size()]
        left = gradients[0].contiguous().view(bits)
        chosen = products.view(bits)
        for quarter in chosen[:-1]:
            quarter.eq_(largest.view(bits)).neg_().bitwise_and_(left)
            left = left.bitwise_xor(quarter)
        chosen[-1] = left
        return None, patches @ chosen.view(products.dtype).view(-1, products.shape[2])
