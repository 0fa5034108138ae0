"""A step's loss and gradients: computed operation by operation, or on a GPU played from a recording of them all."""

from collections.abc import Callable

import torch
from torch import Tensor

from pixelproof.models.training.tasks import Task

Gradients = Callable[[tuple[Tensor, ...]], Tensor]
"""Leaves the gradients of what was drawn in the task's module, and returns the loss, a scalar without gradient."""

_WARM_UP = 3  # steps before a recording, in which cuDNN chooses its algorithms


def gradients_of(task: Task, device: torch.device) -> Gradients:
    """The faster way on `device`: on a GPU a recording, as a small network's step is launched slower than computed."""
    return Recorded(task) if device.type == "cuda" else lambda drawn: backward(task, drawn)


def backward(task: Task, drawn: tuple[Tensor, ...]) -> Tensor:
    """The loss of what was drawn, and new gradients in the task's module."""
    task.module.zero_grad(set_to_none=True)
    loss = task.loss(*drawn)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


class Recorded:
    """Records a step once for each shape of what is drawn, and plays it again with other values.

    Source: CUDA graphs, as in "Whole-network capture" of PyTorch's notes on CUDA semantics.

    Args:
        task: its module on the GPU.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, drawn: tuple[Tensor, ...]) -> Tensor:
        """See `Gradients`; what is returned is written over by the next call."""
        shapes = tuple(each.shape for each in drawn)
        recording = self._recordings.get(shapes)
        if recording is None:
            recording = self._recordings[shapes] = _Recording(self._task, drawn)
        return recording.play(drawn)


class _Recording:
    """A step on tensors of its own."""

    def __init__(self, task: Task, drawn: tuple[Tensor, ...]) -> None:
        self._parameters = list(task.module.parameters())
        self._drawn = tuple(each.clone() for each in drawn)
        self._graph = torch.cuda.CUDAGraph()
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            _warm_up(task, self._drawn)
            task.module.zero_grad(set_to_none=True)  # the recording makes its own
            with torch.cuda.graph(self._graph):
                self._loss = backward(task, self._drawn)
        self._gradients = [parameter.grad for parameter in self._parameters]

    def play(self, drawn: tuple[Tensor, ...]) -> Tensor:
        """See `Recorded`."""
        for kept, new in zip(self._drawn, drawn, strict=True):
            kept.copy_(new)
        self._graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss


def _warm_up(task: Task, drawn: tuple[Tensor, ...]) -> None:
    """Run the step on a stream of its own, as a recording asks for; means and variances stay as they were."""
    kept = [buffer.clone() for buffer in task.module.buffers()]
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            backward(task, drawn)
    torch.cuda.current_stream().wait_stream(stream)
    for buffer, before in zip(task.module.buffers(), kept, strict=True):
        buffer.copy_(before)
