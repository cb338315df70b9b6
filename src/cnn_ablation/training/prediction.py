"""Applying a network to many images, in batches."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from cnn_ablation.training.cuda_graphs import TURN

EVALUATION_BATCH = 125
"""Images per forward pass without gradients. Larger batches are slower on a CPU and take more memory."""

EVALUATION_BATCH_GPU = 1000
"""The same on other devices, where smaller batches do not keep the device busy."""


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, normalize: nn.Module) -> Tensor:
    """Logits, float32 (N, classes), of uint8 images (N, channels, height, width) in evaluation mode."""
    network.eval()
    batches = evaluation_batches(images)
    return joined((network(normalize(batch)).float() for batch in batches), len(images))


def evaluation_batches(images: Tensor) -> Sequence[Tensor]:
    """Images, (N, …), in batches of a size that suits their device."""
    size = EVALUATION_BATCH if images.device.type == "cpu" else EVALUATION_BATCH_GPU
    batches: Sequence[Tensor] = images.split(size)
    return batches


def joined(batches: Iterable[Tensor], length: int) -> Tensor:
    """Join the rows of all batches, `length` rows in total.

    Unlike torch.cat, this does not need all batches at once. They would fragment the heap between larger
    tensors that come and go, and it would grow, sometimes by more than a hundred MiB.
    """
    rows = torch.empty(0)
    end = 0
    for batch in batches:
        start, end = end, end + len(batch)
        with TURN:
            if start == 0:
                rows = batch.new_empty(length, *batch.shape[1:])
            rows[start:end] = batch
    return rows
