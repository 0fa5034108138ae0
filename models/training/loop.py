"""The training loop: seeded, resumable after any full epoch, averaged weights, one log line an epoch."""

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pixelproof.models.recipe import Recipe
from pixelproof.models.training.checkpoint import (
    Checkpoint,
    pack_module,
    pack_optimizer,
    unpack_module,
    unpack_optimizer,
)
from pixelproof.models.training.tasks import Task

_EVALUATED_AT_ONCE = 500  # images
_WARM_UP = 3  # steps before a recording, in which cuDNN chooses its algorithms

Progress = Callable[[int, int, int, float], None]
"""Called after every tenth step, and an epoch's last: epoch and step (from 1), steps an epoch, the mean loss so far."""
Gradients = Callable[[tuple[Tensor, ...]], Tensor]
"""Leaves the gradients of what was drawn in the task's module, and returns the loss, a scalar without gradient."""


class Loop:
    """Trains a task epoch by epoch; `epochs()` yields after each, when the run can be saved.

    Args:
        task: what to learn.
        recipe: how.
        images: uint8 `(n, 3, H, W)`, on the device to train on.
        labels: int64 `(n,)`, likewise.
        seed: of order and augmentation (the caller seeds the module's first weights).
    """

    def __init__(self, task: Task, recipe: Recipe, images: Tensor, labels: Tensor, seed: int) -> None:
        self.task, self.recipe, self.images, self.labels = task, recipe, images, labels
        task.prepare(images)
        self.optimizer = make_optimizer(task.module, recipe)
        self.average = copy.deepcopy(task.module).eval()
        self._gradients = gradients_of(task, images.device)
        self._moved = _numbers(self.average), _numbers(task.module)
        self._move = get_ema_multi_avg_fn(recipe.averaging)  # type: ignore[no-untyped-call]
        self.generator = torch.Generator().manual_seed(seed)
        self.steps_an_epoch = len(images) // recipe.batch_size
        self.epoch = 0

    def epochs(self, progress: Progress) -> Iterator[dict[str, Any]]:
        """Train the epochs that are left, and yield what each was like: loss, images/s, seconds."""
        while self.epoch < self.recipe.epochs:
            started = time.perf_counter()
            loss = self._train_epoch(progress)
            self.epoch += 1
            seconds = time.perf_counter() - started
            images = self.steps_an_epoch * self.recipe.batch_size
            yield {"epoch": self.epoch, "loss": loss, "seconds": seconds, "images_per_s": images / seconds}

    def _train_epoch(self, progress: Progress) -> float:
        self.task.module.train()
        order = torch.randperm(len(self.images), generator=self.generator).to(self.images.device)
        total = torch.zeros((), device=self.images.device)
        for step in range(self.steps_an_epoch):
            chosen = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            done = self._set_rate(self.epoch + step / self.steps_an_epoch)
            drawn = self.task.draw(self.images[chosen], self.labels[chosen], self.generator, done)
            total += self._gradients(drawn)
            self.optimizer.step()
            self._move(*self._moved, None)
            if step % 10 == 9 or step + 1 == self.steps_an_epoch:
                progress(self.epoch + 1, step + 1, self.steps_an_epoch, total.item() / (step + 1))
        for kept, new in zip(self.average.buffers(), self.task.module.buffers(), strict=True):
            if not kept.is_floating_point():  # a count of batches, which has no mean
                kept.copy_(new)
        return total.item() / self.steps_an_epoch

    def _set_rate(self, epoch: float) -> float:
        """Set the learning rate `epoch` epochs into the run; the share of the run that is done, 0 to 1."""
        done = epoch / self.recipe.epochs
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.peak_rate * one_cycle(done, self.recipe.warmup)
        return done

    def save(self, checkpoint: Checkpoint) -> None:
        """Put the state after a full epoch into `checkpoint`."""
        checkpoint.epoch = self.epoch
        checkpoint.tensors = {
            **pack_module("module", self.task.module),
            **pack_module("average", self.average),
            **pack_optimizer(self.optimizer),
            "random": self.generator.get_state(),
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from `checkpoint`; nothing happens where no epoch was finished."""
        if checkpoint.epoch == 0:
            return
        self.epoch = checkpoint.epoch
        unpack_module("module", self.task.module, checkpoint.tensors)
        unpack_module("average", self.average, checkpoint.tensors)
        unpack_optimizer(self.optimizer, checkpoint.tensors)
        self.generator.set_state(checkpoint.tensors["random"])


def _numbers(module: nn.Module) -> list[Tensor]:
    """The tensors that a moving average is kept of: all but the counts of batches."""
    return [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]


def one_cycle(done: float, warmup: float) -> float:
    """The share of the peak rate after `done` (0 to 1) of a cycle."""
    return done / warmup if done < warmup else (1 - done) / (1 - warmup)


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD or AdamW, with weight decay on convolutions' and linear layers' weights alone."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    plain = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.peak_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.peak_rate)


@torch.no_grad()
def evaluate(task: Task, module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """The mean of each of the task's figures over `images` `(n, 3, H, W)` uint8 and `labels` `(n,)`."""
    module.eval()
    scores: dict[str, list[Tensor]] = {}
    for start in range(0, len(images), _EVALUATED_AT_ONCE):
        some = slice(start, start + _EVALUATED_AT_ONCE)
        for name, score in task.score(module, images[some], labels[some]).items():
            scores.setdefault(name, []).append(score)
    return {name: torch.cat(parts).mean().item() for name, parts in scores.items()}


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
