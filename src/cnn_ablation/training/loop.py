"""Training of one network: deterministic in its settings and seed, fast on what it runs on."""

import hashlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Self, cast

import numba
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_ablation.data.splits import Arrays
from cnn_ablation.errors import ParameterError
from cnn_ablation.kernels import compilation as compiled_loops
from cnn_ablation.kernels import convolution as fast_layers
from cnn_ablation.kernels import map_loops, tile_loops
from cnn_ablation.parts import convnet as network
from cnn_ablation.parts import optimizers
from cnn_ablation.parts.convnet import ConvNet, count_parameters
from cnn_ablation.parts.optimizers import OPTIMIZERS
from cnn_ablation.study.parameters import ModelParameters, TrainingParameters
from cnn_ablation.training import random_streams
from cnn_ablation.training.results import TrainedTrial

EVALUATION_BATCH = 125
"""Images per forward pass without gradients: beyond this a CPU gets slower, and memory fuller."""

TRAINING_ARRAYS = ("train_images", "train_labels", "validation_images", "validation_labels")
"""What a training needs of a split."""

_RESULT_MODULES = (
    network,
    fast_layers,
    compiled_loops,
    map_loops,
    tile_loops,
    optimizers,
    random_streams,
)
_RESULT_FILES = (*(cast(str, module.__file__) for module in _RESULT_MODULES), __file__)
CODE_VERSION = hashlib.sha256(
    b"".join(
        [
            f"{torch.__version__} {numba.__version__}".encode(),
            *(Path(file).read_bytes() for file in _RESULT_FILES),
        ]
    )
).hexdigest()[:16]
"""Hash of all the code that decides a trial's result, the versions of PyTorch and Numba included."""


def resolve_device(name: str, *, here: bool = True) -> torch.device:
    """The device of that name; `auto` takes CUDA, else MPS, else the CPU.

    Args:
        name: auto, cpu, cuda or mps.
        here: Whether it must be on this machine.

    Raises:
        ParameterError: There is no such device here.
    """
    if not here:
        return torch.device(name)
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, present in available.items() if present))
    if not available[name]:
        present = ", ".join(["auto", *(kind for kind, here in available.items() if here)])
        raise ParameterError(
            "execution.device", f"{name} is not available on this machine; allowed here: {present}"
        )
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """fp32 or bf16; `auto` takes bf16 where the device is made for it."""
    if name != "auto":
        return name
    return "bf16" if multiplies_bf16(device) else "fp32"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bf16: else they take longer than in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


@dataclass(frozen=True)
class TrainingData:
    """Images and labels of a training, whole in the device's memory.

    Images are uint8, (N, channels, height, width), pixels 0 to 255; labels int64, (N,). `mean` and
    `std` are those of the training images' pixels scaled to 0 to 1, per channel.
    """

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def from_arrays(
        cls,
        arrays: Arrays,
        mean: list[float],
        std: list[float],
        device: torch.device,
    ) -> Self:
        """The data of a split, moved to the device once."""
        return cls(
            **{name: torch.from_numpy(arrays[name]).to(device) for name in TRAINING_ARRAYS},
            mean=torch.tensor(mean, device=device),
            std=torch.tensor(std, device=device),
        )

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.train_images.device

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def train(
    model: ModelParameters,
    training: TrainingParameters,
    seed: int,
    data: TrainingData,
    num_classes: int,
    precision: str = "fp32",
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> TrainedTrial:
    """Train a network from scratch on the data's device.

    A training whose loss is not finite any more ends after that epoch, as diverged.

    Args:
        model: Architecture.
        training: Optimizer and schedule.
        seed: Decides initial weights, order of batches and dropout masks, in separate streams.
        data: What to train and validate on.
        num_classes: Number of classes.
        precision: fp32, or bf16 for mixed precision: weights, sums and normalization stay in fp32.
        on_epoch: Called with each new row of the history.
    """
    torch.backends.cudnn.deterministic = True
    # cuDNN would multiply with ten bits of mantissa and call it fp32.
    torch.backends.cudnn.allow_tf32 = False
    with torch.device(data.device):
        net = ConvNet(model, data.image_shape, num_classes)
    net.seed(seed)
    net = net.to(memory_format=torch.channels_last)
    optimizer = OPTIMIZERS[training.optimizer](net, training)
    order = random_streams.generator(seed, "order of batches")
    normalize = Normalize(data.mean, data.std)
    mixed = torch.autocast(data.device.type, torch.bfloat16, enabled=precision == "bf16")

    history: list[dict[str, float]] = []
    logits = torch.empty(0)
    for epoch in range(1, training.epochs + 1):
        start = time.perf_counter()
        train_loss, train_accuracy = _train_one_epoch(
            net, optimizer, data, normalize, training.batch_size, order, mixed
        )
        with mixed:
            logits = predict(net, data.validation_images, normalize)
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "val_loss": F.cross_entropy(logits, data.validation_labels).item(),
            "val_accuracy": _percent(logits.argmax(1) == data.validation_labels),
            "seconds": time.perf_counter() - start,
        }
        history.append(row)
        on_epoch(row)
        if not math.isfinite(train_loss):
            break
    return TrainedTrial(
        history=history,
        total_params=count_parameters(net),
        validation_logits=logits.cpu().numpy(),
        weights={name: value.cpu().contiguous().numpy() for name, value in net.state_dict().items()},
    )


class Normalize(nn.Module):
    """Bytes 0 to 255 to floats of zero mean and unit variance over the training pixels."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", (1 / (255 * std)).view(-1, 1, 1))
        self.register_buffer("shift", (-mean / std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalized float32 images of the same shape."""
        return torch.addcmul(self.shift, images.float(), self.scale)


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, normalize: nn.Module) -> Tensor:
    """Logits, float32 (N, classes), of uint8 images (N, channels, height, width), not training."""
    network.eval()
    batches = images.split(EVALUATION_BATCH)
    return _joined((network(normalize(batch)).float() for batch in batches), len(images))


def _joined(batches: Iterable[Tensor], length: int) -> Tensor:
    """All rows of the batches, of which there are `length`.

    Unlike torch.cat it does not need all batches at once: they would lie between the places of larger
    tensors that come and go, and the heap would grow around them, at times by more than a hundred MiB.
    """
    rows = torch.empty(0)
    end = 0
    for batch in batches:
        start, end = end, end + len(batch)
        if start == 0:
            rows = batch.new_empty(length, *batch.shape[1:])
        rows[start:end] = batch
    return rows


def _percent(hits: Tensor) -> float:
    return 100 * hits.sum().item() / len(hits)


def _train_one_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: TrainingData,
    normalize: nn.Module,
    batch_size: int,
    order: torch.Generator,
    mixed: torch.autocast,
) -> tuple[float, float]:
    """Mean loss and top-1 accuracy, percent, over the epoch's images as they were trained on."""
    network.train()
    weights = list(network.parameters())
    permutation = torch.randperm(len(data.train_labels), generator=order).to(data.device)
    labels = data.train_labels[permutation]

    def step(batch: Tensor, targets: Tensor) -> Tensor:
        # Anew for each step: autocast keeps its casts of the weights until it is left.
        with mixed:
            logits: Tensor = network(normalize(data.train_images.index_select(0, batch)))
            loss = F.cross_entropy(logits, targets)
        # What optimizer.zero_grad does, without its bookkeeping: a hundredth of a small network's step.
        for weight in weights:
            weight.grad = None
        loss.backward()
        optimizer.step()
        return logits.detach()

    batches = zip(permutation.split(batch_size), labels.split(batch_size), strict=True)
    # They stay on the device until the epoch ends: reading them at each step would wait for it.
    logits = _joined(starmap(step, batches), len(labels)).float()
    return F.cross_entropy(logits, labels).item(), _percent(logits.argmax(1) == labels)
