"""Several trainings of the base network in one: each layer is a batched matrix product of all trials."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_ablation.parts.optimizers import Adam
from cnn_ablation.training.training_data import Normalize, TrainingData

BATCH = 64
DROPOUT = 0.5
EPSILON = 1e-5
"""Epsilon of batch normalization."""


class BatchedTrials:
    """k trainings of the published journal's base network with Adam, with separate weights and batches.

    Convolutions are products of patches and weights. Running statistics are not kept, because only the
    speed of steps is measured.

    Args:
        k: Number of trials.
        data: Images to train on.
        precision: fp32, or bf16 for mixed precision.
        generator: Generator of the initial weights, on the CPU.
    """

    def __init__(self, k: int, data: TrainingData, precision: str, generator: torch.Generator) -> None:
        self.k = k
        self.data = data
        self.normalize = Normalize(data.mean, data.std)
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.mixed = torch.autocast(data.device.type, torch.bfloat16, enabled=precision == "bf16")
        shapes = {"conv1": (9, 32), "conv2": (288, 64), "hidden": (3136, 128), "output": (128, 10)}
        initial: dict[str, Tensor] = {}
        for name, (inputs, outputs) in shapes.items():
            bound = inputs**-0.5
            for part, shape in (("weight", (k, inputs, outputs)), ("bias", (k, 1, outputs))):
                values = torch.empty(shape).uniform_(-bound, bound, generator=generator)
                initial[f"{name}.{part}"] = values
            if name.startswith("conv"):
                initial[f"{name}.scale"] = torch.ones(k, 1, outputs)
                initial[f"{name}.shift"] = torch.zeros(k, 1, outputs)
        self.weights = {name: nn.Parameter(values.to(data.device)) for name, values in initial.items()}
        self.optimizer = Adam().build(self.weights.values())
        self.optimizer.param_groups[0]["capturable"] = data.device.type == "cuda"

    def step(self, batch: Tensor) -> Tensor:
        """Train each trial on its batch, indices (k, N); returns the losses, (k,)."""
        images = self.data.train_images.index_select(0, batch.flatten())
        labels = self.data.train_labels.index_select(0, batch.flatten())
        for weight in self.weights.values():
            weight.grad = None
        with self.mixed:
            logits = self.logits(self.normalize(images), training=True)
            losses = F.cross_entropy(logits.flatten(0, 1), labels, reduction="none")
            losses = losses.view(self.k, -1).mean(1)
        losses.sum().backward()
        self.optimizer.step()
        return losses.detach()

    def logits(self, images: Tensor, *, training: bool) -> Tensor:
        """Logits, (k, N, 10), of normalized images of all trials, (k N, 1, 28, 28)."""
        maps = self._layer("conv1", images.permute(0, 2, 3, 1))
        maps = self._layer("conv2", maps)
        features = maps.reshape(self.k, -1, maps[0].numel())
        hidden = self._product("hidden", features).relu()
        if training:
            hidden = hidden * (torch.rand(hidden.shape, device=hidden.device) < 1 - DROPOUT)
            hidden = hidden / (1 - DROPOUT)
        return self._product("output", hidden)

    def _product(self, name: str, features: Tensor) -> Tensor:
        return torch.baddbmm(self.weights[f"{name}.bias"], features, self.weights[f"{name}.weight"])

    def _layer(self, name: str, maps: Tensor) -> Tensor:
        """Convolution, batch norm, pooling and ReLU of maps (k N, height, width, channels)."""
        images, height, width, channels = maps.shape
        padded = F.pad(maps.to(self.dtype), (0, 0, 1, 1, 1, 1))
        patches = torch.cat(
            [
                padded[:, top : top + height, left : left + width]
                for top in range(3)
                for left in range(3)
            ],
            dim=3,
        )
        product = self._product(name, patches.view(self.k, -1, 9 * channels)).float()
        variance, mean = torch.var_mean(product, 1, correction=0, keepdim=True)
        scale = self.weights[f"{name}.scale"] * (variance + EPSILON).rsqrt()
        normalized = torch.addcmul(self.weights[f"{name}.shift"] - mean * scale, product, scale)
        pooled = normalized.view(images, height // 2, 2, width // 2, 2, -1).amax((2, 4))
        return pooled.relu()
