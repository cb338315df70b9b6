"""The average of a network's weights over the steps of a training."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from cnn_ablation.parts.averaging import Averaging
from cnn_ablation.training.cuda_graphs import TURN


class WeightAverage:
    """An average of a network's weights. It changes the network only when it is asked to.

    PyTorch's `AveragedModel` keeps a second network, and reads a counter from the device at each update.
    Here, the average takes the place of the trained weights in the network's own memory, which also CUDA
    graphs read.

    Args:
        averaging: Rule of the average.
        network: The network, whose weights must stay where they are in memory.
    """

    def __init__(self, averaging: Averaging, network: nn.Module) -> None:
        self._averaging = averaging
        statistics = [] if averaging.at_end else list(network.buffers())
        self._weights = [
            tensor.detach()
            for tensor in (*network.parameters(), *statistics)
            if tensor.is_floating_point()
        ]
        self._average: list[Tensor] = []
        self._count = 0

    def update(self) -> None:
        """Let the network's weights enter the average."""
        with TURN:
            if self._count == 0:
                self._average = [weight.clone() for weight in self._weights]
            else:
                self._averaging.update(self._average, self._weights, self._count)
        self._count += 1

    def settle(self) -> None:
        """Give the network the average for good. Without one, the network stays as it is."""
        with TURN:
            for weight, average in zip(self._weights, self._average, strict=False):
                weight.copy_(average)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A context in which the network has the average. Without one, it stays as it is."""
        with TURN:
            trained = [weight.clone() for weight in self._weights]
        self.settle()
        yield
        with TURN:
            for weight, value in zip(self._weights, trained, strict=True):
                weight.copy_(value)
