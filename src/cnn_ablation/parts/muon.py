"""The optimizer of the part `muon`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn, optim

from cnn_ablation.workarounds import light_optimizer

if TYPE_CHECKING:
    from cnn_ablation.parts.optimizers import Muon

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_EPSILON = 1e-7


class MuonWithAdamW(optim.Optimizer):
    """Muon for the weights of hidden layers, and AdamW for the other parameters.

    PyTorch's Muon does not take convolutions, and a CUDA graph cannot replay it, because it reads the
    learning rate back.

    Args:
        hidden: Weights of hidden layers, (out, …). All dimensions but the first form the columns of a
            matrix.
        others: All other parameters.
        settings: Settings of both.
    """

    def __init__(self, hidden: list[nn.Parameter], others: list[nn.Parameter], settings: "Muon") -> None:
        super().__init__(hidden, {"lr": settings.learning_rate})
        self._adamw = light_optimizer(optim.AdamW)(
            others, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.param_groups += self._adamw.param_groups
        self._momentum = settings.momentum
        self._weight_decay = settings.weight_decay

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters. Unlike PyTorch's optimizers, it takes no closure."""
        self._adamw.step()
        group = self.param_groups[0]
        for weight in group["params"]:
            gradient, momentum = weight.grad, self.state[weight]
            if not momentum:
                momentum["buffer"] = torch.zeros_like(weight)
            momentum["buffer"].lerp_(gradient, 1 - self._momentum)
            # Nesterov's momentum.
            update = gradient.lerp(momentum["buffer"], self._momentum)
            weight.mul_(1 - group["lr"] * self._weight_decay)
            weight.sub_(group["lr"] * _orthogonal(update))


def _orthogonal(update: Tensor) -> Tensor:
    """Nearly the nearest semi-orthogonal matrix, scaled to the size of an update of AdamW.

    This is the Newton-Schulz iteration of Jordan et al. (2024), which leaves singular values between 0.5
    and 1.5. The scale is that of Liu et al. (2025), so that learning rates of AdamW fit. It is computed
    in fp32, because most CPUs multiply bf16 more slowly.
    """
    matrix = update.flatten(1)
    rows, columns = matrix.shape
    wide = matrix.T if rows > columns else matrix
    wide = wide / (wide.norm() + _EPSILON)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        wide = torch.addmm(wide, polynomial, wide, beta=a)
    result = wide.T if rows > columns else wide
    return (0.2 * math.sqrt(max(rows, columns)) * result).view(update.shape)
