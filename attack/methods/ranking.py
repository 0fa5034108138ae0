"""Candidate rankings: in which order `corners` and `levels` try their candidates.

A ranking comes from one's own function, from one gradient (`gradient_ranking`), or from a coarse query pass over every
few positions at two opposite colors (`sweep_ranking`).

Source of the gradient as the estimate of every single replacement: Ebrahimi, Rao, Lowd, Dou, "HotFlip: white-box
adversarial examples for text classification", ACL 2018 (there of characters).

Imports PyTorch when a gradient's ranking is made, not before.
"""

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof import vector_math
from pixelproof.attack.search.candidates import Canvas
from pixelproof.attack.search.checks import as_array, checked_number, checked_probabilities
from pixelproof.attack.search.protocol import Criterion, Predict
from pixelproof.errors import PixelproofError, UsageError, missing_extra

if TYPE_CHECKING:
    from torch import Tensor, nn


class Ranking(Protocol):
    """Ranks each image's candidates, most promising first."""

    def __call__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        colors: NDArray[np.uint8],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.integer[Any]]:
        """The ranking, integers `(n, candidates)`: each row a permutation of 0 .. candidates - 1.

        It is called with a few images at a time, when they are about to be searched. It is given the colors and the
        targets too, because what is promising depends on them: one function then serves every candidate set.

        Args:
            images: uint8 `(n, H, W, 3)`.
            labels: int64 `(n,)`.
            colors: uint8 `(n, H, W, C, 3)`, what each position is to be tried with; candidate
                (row * W + column) * C + c sets pixel (row, column) to color c.
            targets: int64 `(n,)`, or None when untargeted.
        """


def rank(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The ranking of scores `(n, candidates)`, smallest first, equal ones by number."""
    return scores.argsort(axis=1, kind="stable").astype(np.int32)


def spread(count: int) -> NDArray[np.int32]:
    """A ranking `(count,)` whose every beginning is spread evenly over all candidates."""
    step = round(count * (math.sqrt(5) - 1) / 2)  # the golden section leaves no large gap
    while math.gcd(step, count) != 1:
        step += 1
    return (np.arange(count, dtype=np.int64) * step % count).astype(np.int32)


def checked_ranking(ranking: Any, shape: tuple[int, int]) -> NDArray[np.int32]:  # noqa: ANN401  (a caller's callable)
    """What a `Ranking` returned, as int32, if it ranks every candidate of every image once."""
    given = as_array("what order gave", ranking, f"integers (images, candidates) {shape}")
    if given.dtype.kind not in "iu" or given.shape != shape:
        raise UsageError(
            f"order gave {given.dtype} of shape {given.shape}, expected integers (images, candidates) {shape}. "
            "Next: use gradient_ranking or sweep_ranking of pixelproof.attack, or rank every candidate"
        )
    missing = np.ones(shape, np.bool_)
    if given.min() >= 0 and given.max() < shape[1]:
        np.put_along_axis(missing, given, values=False, axis=1)
    if missing.any():
        raise UsageError(
            f"order did not rank each of the {shape[1]} candidates once. Next: return a permutation of "
            f"0 to {shape[1] - 1} for each image"
        )
    return given.astype(np.int32, copy=False)


def gradient_ranking(module: "nn.Module") -> Ranking:
    """A ranking by a network's gradient: one forward and one backward pass for each batch of images.

    A candidate's score is grad . (new color - present color), where grad is the gradient of the margin: the true
    class's output minus the best other's (targeted: minus the target's). The most negative comes first.

    Args:
        module: an `nn.Module`, in the mode in which it is to be judged: float32 `(n, 3, H, W)` on the 0..255 scale
            to logits or probabilities `(n, classes)`. For an adaptive attack this is purifier and classifier as one;
            the module itself decides what the gradient does at a gate.

    Raises:
        UsageError: `module` is no `nn.Module`.
        PixelproofError: PyTorch is not installed; or, when ranking, the module returns another shape or NaN.
    """
    try:
        from torch import nn
    except ModuleNotFoundError:
        raise missing_extra("PyTorch", "export", "gradient_ranking") from None
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"gradient_ranking got {type(module).__name__}, expected a torch.nn.Module. "
            "Next: pass the network itself, or use sweep_ranking(predict)"
        )

    def ranking(
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        colors: NDArray[np.uint8],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.int32]:
        gradient = _margin_gradient(module, images, labels, targets)
        scores = np.zeros(colors.shape[:-1], np.float32)
        for channel in range(3):
            change = colors[..., channel].astype(np.float32) - images[..., None, channel]
            scores += gradient[..., None, channel] * change
        return rank(scores.reshape(len(images), -1))

    return ranking


def _margin_gradient(
    module: "nn.Module", images: NDArray[np.uint8], labels: NDArray[np.int64], targets: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """The margin's gradient on the 0..255 scale, float32 `(n, H, W, 3)`."""
    import torch

    vector_math.settle()
    parameter = next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)).to(device).requires_grad_()
    true = torch.from_numpy(labels).to(device)[:, None]
    with torch.enable_grad():
        needed = 1 + int(max(labels.max(), 1) if targets is None else max(labels.max(), targets.max()))
        outputs = _checked(module(inputs), len(images), needed)
        rival = _best_other(outputs, true) if targets is None else torch.from_numpy(targets).to(device)[:, None]
        margin = outputs.gather(1, true) - outputs.gather(1, rival)
        (gradient,) = torch.autograd.grad(margin.sum(), inputs)
    found: NDArray[np.float32] = gradient.permute(0, 2, 3, 1).cpu().numpy()
    if not np.isfinite(found).all():
        raise PixelproofError("the module's gradient is not finite. Next: use sweep_ranking(predict), or no order")
    return found


def _best_other(outputs: "Tensor", true: "Tensor") -> "Tensor":
    return outputs.detach().scatter(1, true, float("-inf")).argmax(dim=1, keepdim=True)


def _checked(outputs: Any, count: int, needed: int) -> "Tensor":  # noqa: ANN401  (whatever the module gives)
    import torch

    shape: tuple[int, ...] = tuple(getattr(outputs, "shape", ()))
    if not isinstance(outputs, torch.Tensor) or len(shape) != 2 or shape[0] != count or shape[1] < needed:
        raise UsageError(
            f"the module gave {type(outputs).__name__} of shape {shape}, expected a Tensor of shape "
            f"({count}, classes >= {needed}). Next: pass a module that returns logits or probabilities alone"
        )
    if not outputs.requires_grad:
        raise PixelproofError("the module's output has no gradient. Next: use sweep_ranking(predict), or no order")
    if outputs.isnan().any():
        raise PixelproofError("the module gave NaN. Next: check its weights")
    return outputs


class SweepRanking:
    """A ranking for classifiers that give no gradient: it queries them.

    Every `stride`-th position of every `stride`-th row is set to the first and the last of its colors (of a box, the
    darkest and the brightest). These queries come on top of those that the search counts: add
    `queries_per_image(H, W)` for every attacked image (128 for 32x32 and the default stride), or read `asked`.

    Args:
        predict: as for `attack`, the same classifier.
        stride: 1 probes every position; larger is cheaper and coarser.
        batch_size: rows of every batch; the search's own, for a classifier that depends on it.

    Attributes:
        asked: queries so far.

    Raises:
        UsageError: a value is no integer in its range.
    """

    def __init__(self, predict: Predict, *, stride: int = 4, batch_size: int = 512) -> None:
        self._predict = predict
        self._stride = checked_number("stride", stride, 1, 1 << 16)
        self._batch_size = checked_number("batch_size", batch_size, 1, 1 << 20)
        self.asked = 0

    def queries_per_image(self, height: int, width: int) -> int:
        """What the ranking of one image costs: two queries a probed position."""
        return 2 * len(self._probed(height)) * len(self._probed(width))

    def __call__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        colors: NDArray[np.uint8],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.int32]:
        """The ranking, int32 `(n, candidates)`; see `Ranking` for the arguments.

        A position takes the shares of the nearest probed one; a color's lies between those of the first and the last
        color, in proportion to its place between them.
        """
        count, height, width, _, _ = colors.shape
        shares = self._probe(images, colors, labels if targets is None else targets, targeted=targets is not None)
        near_row, near_column = self._nearest(height), self._nearest(width)
        first, last = np.moveaxis(shares[:, near_row[:, None], near_column], -1, 0)[..., None]
        return rank((first + (last - first) * _place(colors)).reshape(count, -1))

    def _probed(self, length: int) -> NDArray[np.int64]:
        """The rows or columns that are probed: the middle of each stretch of `stride`."""
        middle = min(self._stride, length) // 2
        return np.arange(middle, length, self._stride)

    def _nearest(self, length: int) -> NDArray[np.int64]:
        """For each row or column, which of the probed ones is nearest."""
        nearest: NDArray[np.int64] = np.abs(np.arange(length)[:, None] - self._probed(length)).argmin(axis=1)
        return nearest

    def _probe(
        self, images: NDArray[np.uint8], colors: NDArray[np.uint8], classes: NDArray[np.int64], *, targeted: bool
    ) -> NDArray[np.float32]:
        """The shares at the probed positions, first and last color: float32 `(n, rows, columns, 2)`."""
        count, height, width, _, _ = colors.shape
        rows, columns = self._probed(height), self._probed(width)
        ends = colors[:, rows[:, None], columns][:, :, :, [0, -1]].reshape(-1, 1, 3)
        positions = np.tile(np.repeat((rows[:, None] * width + columns).reshape(-1), 2), count)[:, None]
        image_of_row = np.repeat(np.arange(count), len(positions) // count)
        canvas = Canvas(images, self._batch_size)
        parts = []
        for start in range(0, len(image_of_row), self._batch_size):
            part = slice(start, start + self._batch_size)
            batch = canvas.draw(image_of_row[part], positions[part], ends[part])
            answer = checked_probabilities(self._predict(batch), self._batch_size)
            parts.append(answer[: len(image_of_row[part])].copy())
            canvas.wipe()
        self.asked += len(image_of_row)
        shares = Criterion(targeted=targeted).share(np.concatenate(parts), classes[image_of_row])
        return shares.reshape(count, len(rows), len(columns), 2)


sweep_ranking = SweepRanking


def _place(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each color of `(n, H, W, C, 3)` lies between the first, 0, and the last, 1: float32 `(n, H, W, C)`."""
    offset = colors.astype(np.float32) - colors[..., :1, :]
    line = offset[..., -1:, :]
    length = np.maximum((line * line).sum(axis=-1), 1)
    place: NDArray[np.float32] = (offset * line).sum(axis=-1) / length
    return place
