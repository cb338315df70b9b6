"""Faster layers for CPUs, behind one function, `accelerate`.

Numba loops and the autograd functions around them belong here. Layers that PyTorch runs do not: they
belong to `parts.layers`. The choice between the two belongs to `training`.
"""

from torch import Tensor, nn

from cnn_ablation.kernels.convolution import convolve
from cnn_ablation.parts.layers import ConvLayer

VERSION = 1
"""Raise it when a change of code changes numbers. Trials with these layers are then trained again."""


def accelerate(network: nn.Module) -> None:
    """Replace every `ConvLayer` of a network on the CPU by a faster one, in place.

    Weights and their names stay. The layers' functions and gradients are the same up to rounding. Other
    layers are left as they are.
    """
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is ConvLayer:
                setattr(parent, name, _FastConvLayer(child))


class _FastConvLayer(ConvLayer):
    """A `ConvLayer` that makes fewer passes over its maps."""

    def __init__(self, layer: ConvLayer) -> None:
        nn.Module.__init__(self)
        for name in ("conv", "norm", "pool", "relu"):
            setattr(self, name, getattr(layer, name))

    def forward(self, images: Tensor) -> Tensor:
        """See base class."""
        return convolve(images, self.conv, self.norm, pool=self.pool is not None, training=self.training)
