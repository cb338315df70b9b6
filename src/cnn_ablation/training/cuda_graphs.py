"""Functions of tensors that are recorded once as CUDA graphs and then replayed.

A step of a small network is a hundred kernels of a few microseconds each. Launching them one by one from
Python takes longer than running them. A graph launches all of them at once.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WARM_UP_CALLS = 3
"""Number of calls before a graph is recorded, which let libraries initialize.

PyTorch's documentation of CUDA graphs uses the same number.
"""

TURN = threading.RLock()
"""Lock of the thread that gives work to the device, if several threads train on one device.

A graph cannot be recorded while another thread allocates or frees memory on the device.
"""

Shapes = tuple[torch.Size, ...]


@dataclass(frozen=True)
class _Graph:
    """A recorded graph: it reads `inputs` and overwrites `output`, always in the same memory."""

    inputs: tuple[Tensor, ...]
    output: Tensor
    replay: Callable[[], None]


class Graphed:
    """A function of tensors that is replayed as a CUDA graph, with one graph per shape of the inputs.

    Only kernels are recorded. The function's Python code does not run again, so everything that changes
    between calls must be in tensors that stay at one place in memory. Random numbers must come from the
    given generators or from the device's default generator, which continue their streams as they would
    without a graph.

    All calls must be made on one stream, which is not the default stream; see `own_stream`.

    Args:
        function: Takes tensors on a CUDA device, and returns one.
        generators: Generators that the function draws from.
    """

    def __init__(
        self, function: Callable[..., Tensor], generators: Iterable[torch.Generator] = ()
    ) -> None:
        self._function = function
        self._generators = list(generators)
        self._calls: Counter[Shapes] = Counter()
        self._graphs: dict[Shapes, _Graph] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the function's result. The next call with inputs of the same shapes overwrites it."""
        with TURN:
            shapes = tuple(tensor.shape for tensor in inputs)
            if shapes not in self._graphs:
                self._calls[shapes] += 1
                if self._calls[shapes] <= WARM_UP_CALLS:
                    return self._function(*inputs)
                self._graphs[shapes] = self._record(inputs)
            graph = self._graphs[shapes]
            for place, value in zip(graph.inputs, inputs, strict=True):
                place.copy_(value)
            graph.replay()
            return graph.output

    def close(self) -> None:
        """Free the memory of all graphs. The device must have finished with them."""
        with TURN:
            self._graphs.clear()

    def _record(self, inputs: tuple[Tensor, ...]) -> _Graph:
        places = tuple(tensor.clone() for tensor in inputs)
        output, replay = record(lambda: self._function(*places), self._generators)
        return _Graph(places, output, replay)


def record(
    function: Callable[[], Tensor], generators: Iterable[torch.Generator]
) -> tuple[Tensor, Callable[[], None]]:
    """Record the kernels of a function without running them, on the current stream.

    Returns:
        The tensor that holds the result after a replay, and the function that replays.
    """
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    # Relaxed, because other threads can wait for results on other streams meanwhile.
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="relaxed"):
        output = function()
    return output, graph.replay


def wait_for(device: torch.device) -> None:
    """Wait until the device has done the work of this thread. Its results can then be read at once."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def generators_in(network: nn.Module) -> list[torch.Generator]:
    """The generators that the modules of a network draw from."""
    return [
        value
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Generator)
    ]


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """A context that runs on its own stream, if the device is a CUDA device.

    The default stream cannot be recorded, and the work of two trials overlaps only on different streams.
    """
    if device.type != "cuda":
        yield
        return
    outside = torch.cuda.current_stream(device)
    stream = torch.cuda.Stream(device)
    stream.wait_stream(outside)
    with torch.cuda.stream(stream):
        yield
    outside.wait_stream(stream)
