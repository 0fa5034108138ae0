"""Where in each activation map a changed box of the image is seen, worked out for one axis at a time.

A layer's output at place o depends on inputs from `stride * o - before` to `stride * o + after`. So a change of a few
rows or columns stays one of few for some layers, and only a window of each map has to be computed anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
"""One entry for each place that the change can start at."""


@dataclass(frozen=True)
class ReceptiveField:
    """What of an input an output at place o sees: from `stride * o - before` to `stride * o + after`."""

    before: int
    after: int
    stride: int = 1

    def then(self, later: "ReceptiveField") -> "ReceptiveField":
        """The field of a layer with this one before it."""
        return ReceptiveField(
            self.before + self.stride * later.before, self.after + self.stride * later.after, self.stride * later.stride
        )

    def joined(self, other: "ReceptiveField") -> "ReceptiveField":
        """What two paths see together; their strides are the same."""
        return ReceptiveField(max(self.before, other.before), max(self.after, other.after), self.stride)


@dataclass(frozen=True)
class Box:
    """The changed stretch of a map along one axis: `size` places from `start` on."""

    start: Places
    size: int


@dataclass(frozen=True)
class Window:
    """What has to be computed anew along one axis.

    Attributes:
        start: first output place of the window.
        size: output places; those of the changed box and, where margins are needed and the window ends inside the map,
            some that come out wrong and are not used.
        changed: the changed stretch of the outputs.
        inputs: for each input, the window of it: its first place, below 0 in the padding, and its size.
    """

    start: Places
    size: int
    changed: Box
    inputs: tuple[tuple[Places, int], ...]


def window(
    boxes: Sequence[Box], fields: Sequence[ReceptiveField], lengths: Sequence[int], length: int, *, padded: bool
) -> Window:
    """The window of a stage.

    Args:
        boxes: the changed stretch of each input.
        fields: what an output sees of each input.
        lengths: places of each input map.
        length: places of the output map.
        padded: the stage is given the padding with the windows, and adds none of its own; see `fits_padded`.
    """
    first, last = _seen_by(boxes, fields, length)
    size = int((last - first).max()) + 1
    changed = Box(first.clip(0, length - size), size)
    return _with_padding(changed, fields) if padded else _within_map(changed, fields, lengths, length)


def _with_padding(changed: Box, fields: Sequence[ReceptiveField]) -> Window:
    """The changed outputs alone, of all that they see of each input, padding included."""
    inputs = tuple(
        (
            field.stride * changed.start - field.before,
            field.stride * (changed.size - 1) + field.before + field.after + 1,
        )
        for field in fields
    )
    return Window(changed.start, changed.size, changed, inputs)


def _within_map(changed: Box, fields: Sequence[ReceptiveField], lengths: Sequence[int], length: int) -> Window:
    """The changed outputs with a margin of others, of windows that lie within the inputs.

    The stage takes the end of a window for the map's and lays its padding there. Outputs that see across it come out
    wrong, unless it is the map's: the margin on each side is as many as do.
    """
    # a window has what the map has: stride places for each output, and so many more
    surplus = [given - field.stride * length for given, field in zip(lengths, fields, strict=True)]
    left = max(_ceiling(field.before, field.stride) for field in fields)
    right = max(
        max(0, _ceiling(field.after - field.stride + 1 - extra, field.stride))
        for extra, field in zip(surplus, fields, strict=True)
    )
    size = min(length, changed.size + left + right)
    start = (changed.start - left).clip(0, length - size)
    inputs = tuple(
        (field.stride * start, field.stride * size + extra) for extra, field in zip(surplus, fields, strict=True)
    )
    return Window(start, size, changed, inputs)


def _ceiling(number: int, divisor: int) -> int:
    return -(-number // divisor)


def fits_padded(fields: Sequence[ReceptiveField], lengths: Sequence[int], length: int) -> bool:
    """Whether every input place is seen by some output, so that a changed box lies within its padded window."""
    return all(
        field.before + field.after + 1 >= field.stride and field.stride * (length - 1) + field.after >= given - 1
        for field, given in zip(fields, lengths, strict=True)
    )


def _seen_by(boxes: Sequence[Box], fields: Sequence[ReceptiveField], length: int) -> tuple[Places, Places]:
    """The first and the last output that see something of a changed box, or lie nearest to one that none sees."""
    firsts, lasts = [], []
    for box, field in zip(boxes, fields, strict=True):
        end = box.start + box.size - 1
        before, after, stride = field.before, field.after, field.stride
        firsts.append(np.minimum(-((after - box.start) // stride), (box.start + before) // stride))
        lasts.append(np.maximum((end + before) // stride, -((after - end) // stride)))
    first, last = np.min(firsts, axis=0), np.max(lasts, axis=0)
    return first.clip(0, length - 1), last.clip(0, length - 1)


def start_boxes(length: int, size: int) -> Box:
    """A changed stretch of `size` places, one entry for each place of `length` that it may start at."""
    return Box(np.arange(length - size + 1), size)


@dataclass(frozen=True)
class Wiring:
    """How a stage hangs together with the others: its inputs and what it sees of them, its outputs, its padding."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fields: tuple[ReceptiveField, ...]
    padded: bool


def follow(
    first: Mapping[str, Box], stages: Sequence[Wiring], lengths: Mapping[str, int]
) -> tuple[dict[str, Box], list[Window]]:
    """Every map's changed stretch, and every stage's window.

    Args:
        first: the changed stretch of the image.
        stages: in order.
        lengths: places of each map.
    """
    boxes, windows = dict(first), []
    for stage in stages:
        found = window(
            [boxes[name] for name in stage.inputs],
            stage.fields,
            [lengths[name] for name in stage.inputs],
            lengths[stage.outputs[0]],
            padded=stage.padded,
        )
        boxes |= dict.fromkeys(stage.outputs, found.changed)
        windows.append(found)
    return boxes, windows
