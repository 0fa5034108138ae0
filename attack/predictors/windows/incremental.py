"""Classifies images that differ from a known one in a small box by computing anew only what the box can move.

The early layers of a convolutional network see little of an image at each place. What they give for the clean image is
kept, and for each candidate only a window of each map is computed, the changed part of the map before laid into the
kept one. Where windows have grown to the whole map, the rest of the network runs as usual.

Source: inference on the changed window alone, for images with a part hidden: Nakandala, Kumar, Papakonstantinou,
"Incremental and approximate inference for faster occlusion-based deep CNN explanations", SIGMOD 2019.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import ActivationCache, Maps
from pixelproof.attack.predictors.windows.receptive_field import Places, Window, Wiring, follow, start_boxes
from pixelproof.attack.search.candidates import classified, drawn
from pixelproof.attack.search.checks import checked_number, checked_probabilities
from pixelproof.attack.search.protocol import Predict, Predictor

_UNCHANGED = 0
_FEW = 8  # rows of the batches of what is seldom many: images as they are, and ties
_NEAR = 32  # at most, of images given with one that they are near to: boxes come in several sizes, few of each

Layers = Callable[[Sequence[NDArray[np.float32]]], Sequence[NDArray[np.float32]]]
"""Some maps of one batch, float32 `(n, C, H, W)` each, to others."""


@dataclass(frozen=True)
class Stage:
    """Some layers of a network that take windows of any size.

    Attributes:
        wiring: the maps they take and give, the outputs all of one height and width. `padded` layers add no padding of
            their own; others lay around a window what lies around the whole map.
        run: the layers.
    """

    wiring: Wiring
    run: Layers


@dataclass(frozen=True)
class Staged:
    """A classifier in pieces.

    Attributes:
        stages: in order; the first takes one map alone, the image as float32 `(n, 3, H, W)` on the 0..255 scale.
        clean: every map that a stage or `finish` takes, by name, of uint8 images `(n, H, W, 3)`.
        rest: the maps that `finish` takes.
        finish: those maps, whole, to the probabilities `(n, classes)`.
    """

    stages: tuple[Stage, ...]
    clean: Callable[[NDArray[np.uint8]], Maps]
    rest: tuple[str, ...]
    finish: Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float32]]


class Incremental(Predictor):
    """A `predict` that also takes images with the clean one that each is near to.

    Sums come out in another order than in the whole network, and may differ in the last bits. So a row whose two
    largest probabilities are within `tie` is classified as a whole: no decision depends on the order.

    Args:
        predict: the whole classifier.
        staged: the same in pieces.
        batch_size: rows of a batch that either is given.
        sizes: sides of the boxes that are distinguished; images that differ in more are classified as a whole.
        remembered: clean images whose maps are cached; no fewer than are in flight at a time, or they thrash.
        tie: see above; well above the largest difference.

    Attributes:
        batch_size: as given.
        whole: rows that were classified as a whole so far.
        partly: rows that were not.
    """

    takes_changes = True

    def __init__(
        self,
        predict: Predict,
        staged: Staged,
        *,
        batch_size: int = 64,
        sizes: Sequence[int] = (1, 3, 5, 9),
        remembered: int = 40,
        tie: float = 1e-4,
    ) -> None:
        self._predict, self._staged, self._tie = predict, staged, tie
        self.batch_size: int = checked_number("batch_size", batch_size, 1, 1 << 20)
        self._maps = ActivationCache(
            staged.clean, checked_number("remembered", remembered, 1, 1 << 20), _padding(staged.stages)
        )
        self._sizes = tuple(sorted(sizes))
        self._windows: dict[int, _Windows] = {}
        self.whole = self.partly = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of `images`, uint8 `(n, H, W, 3)`, as the whole classifier gives them."""
        return self._predict(images)

    @property
    def depth(self) -> int:
        """Stages that windows are sent through."""
        return len(self._staged.stages)

    def predict_changes(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        """See `Predictor`."""
        if positions.shape[1] != 1 or 1 not in self._sizes:
            return self.near(drawn(images, image_of_row, positions, colors), images[image_of_row])
        known, which = np.unique(image_of_row, return_inverse=True)
        top, left = np.divmod(positions[:, 0], images.shape[2])
        return self._classified(
            _Changes(
                clean=images[known],
                which=which,
                top=top,
                left=left,
                extent=np.ones(len(which), np.int64),
                box=lambda rows, _: colors[rows].transpose(0, 2, 1)[..., None],
                drawn=lambda rows: drawn(images, image_of_row[rows], positions[rows], colors[rows]),
            ),
            self.batch_size,
        )

    def near(self, images: NDArray[np.uint8], clean: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of `images`, float32 `(n, classes)`.

        Args:
            images: uint8 `(n, H, W, 3)`.
            clean: likewise; for each row an image that it differs from in a small box, many rows sharing a few.
        """
        top, left, extent = boxes_around(images != clean)
        number_of: dict[bytes, int] = {}
        which = np.array([number_of.setdefault(image.tobytes(), len(number_of)) for image in clean])
        _, first = np.unique(which, return_index=True)

        def box(rows: Places, size: int) -> NDArray[np.uint8]:
            at_row, at_column = (
                np.minimum(at[rows], side - size) for at, side in zip((top, left), images.shape[1:3], strict=True)
            )
            view = sliding_window_view(images, (size, size), axis=(1, 2))
            return view[rows, at_row, at_column]  # type: ignore[no-any-return]

        changes = _Changes(clean[first], which, top, left, extent, box=box, drawn=lambda rows: images[rows])
        return self._classified(changes, min(self.batch_size, _NEAR))

    def _classified(self, changes: "_Changes", at_once: int) -> NDArray[np.float32]:
        """The probabilities of all rows; `at_once`: rows of every batch, the last of each size of box filled up."""
        sizes = self._window_sizes(changes)
        parts = [
            (batch, self._partly(changes, batch, size, at_once))
            for size in self._sizes
            for batch in self._batches(np.flatnonzero(sizes == size), changes.which, at_once)
        ]
        for rows, rows_at_once in ((np.flatnonzero(sizes == _UNCHANGED), _FEW), (np.flatnonzero(sizes < 0), at_once)):
            if rows.size:
                parts.append((rows, self._wholly(changes.drawn(rows), rows_at_once)))
        answer = np.empty((len(sizes), parts[0][1].shape[1]), np.float32)
        for rows, probabilities in parts:
            answer[rows] = probabilities
        first, second = np.partition(answer, -2, axis=1)[:, :-3:-1].T
        close = np.flatnonzero((first - second < self._tie) & (sizes > 0))
        if close.size:
            answer[close] = self._wholly(changes.drawn(close), _FEW)
        self.partly += int((sizes > 0).sum()) - close.size
        return answer

    def _window_sizes(self, changes: "_Changes") -> Places:
        """The smallest size that each row's box fits into; `_UNCHANGED` where it has none, -1 where it fits none."""
        fitting = [size for size in self._sizes if size <= min(changes.clean.shape[1:3])]
        sizes = np.array([*fitting, -1])[np.searchsorted(fitting, changes.extent)]
        return np.where(changes.extent == 0, _UNCHANGED, sizes)

    def _batches(self, rows: Places, which: Places, at_once: int) -> Iterator[Places]:
        """`rows` in batches, those of one clean image together, each with no more of these than are cached."""
        rows = rows[which[rows].argsort(kind="stable")]
        images_before = np.cumsum(np.diff(which[rows], prepend=which[rows[:1]]) != 0)
        start = 0
        while start < len(rows):
            full = int(np.searchsorted(images_before, images_before[start] + self._maps.limit))
            end = min(start + at_once, full)
            yield rows[start:end]
            start = end

    def _partly(self, changes: "_Changes", batch: Places, size: int, at_once: int) -> NDArray[np.float32]:
        """The rows of `batch`, which differ within a box of `size`, from `top` and `left` on or a little before."""
        count, (height, width) = len(batch), changes.clean.shape[1:3]
        filled = batch[np.minimum(np.arange(at_once), count - 1)]  # the last row fills the batch up
        known, which = np.unique(changes.which[filled], return_inverse=True)
        slots = self._maps.slots(changes.clean[known])[which]
        if size not in self._windows:
            self._windows[size] = _Windows(self._staged, self._maps.lengths(), size)
        windows = self._windows[size]
        at = _Boxes(
            slots,
            windows,
            top=np.minimum(changes.top[filled], height - size),
            left=np.minimum(changes.left[filled], width - size),
        )
        shown = changes.box(filled, size)
        changed: Maps = {self._staged.stages[0].wiring.inputs[0]: shown.astype(np.float32)}
        for stage, rows, columns in windows.stages():
            changed |= self._advance(stage, rows, columns, changed, at)
        whole = []
        for name in self._staged.rest:
            maps = self._maps.arrays[name][slots]
            _lay(maps, changed[name], *at.corner(name))
            whole.append(maps)
        return checked_probabilities(self._staged.finish(whole), at_once)[:count]

    def _advance(self, stage: Stage, rows: Window, columns: Window, changed: Maps, at: "_Boxes") -> Maps:
        """The changed boxes of the stage's outputs, from those of its inputs; `rows` and `columns` are its windows."""
        given = []
        for name, (first_row, height), (first_column, width) in zip(
            stage.wiring.inputs, rows.inputs, columns.inputs, strict=True
        ):
            row, column = first_row[at.top], first_column[at.left]
            part = self._maps.windows(name, at.slots, row, column, (height, width))
            box_row, box_column = at.corner(name)
            _lay(part, changed[name], box_row - row, box_column - column)
            given.append(part)
        outputs = stage.run(given)
        if (rows.size, columns.size) != (rows.changed.size, columns.changed.size):
            at_row = (rows.changed.start - rows.start)[at.top]
            at_column = (columns.changed.start - columns.start)[at.left]
            outputs = [_taken(maps, rows.changed.size, columns.changed.size, at_row, at_column) for maps in outputs]
        return dict(zip(stage.wiring.outputs, outputs, strict=True))

    def _wholly(self, images: NDArray[np.uint8], at_once: int) -> NDArray[np.float32]:
        self.whole += len(images)
        return classified(self._predict, images, at_once)


@dataclass(frozen=True)
class _Changes:
    """Images that differ from others in a small box each.

    Attributes:
        clean: uint8 `(m, H, W, 3)`, the others, no two alike.
        which: int64 `(n,)`, the one that each row differs from.
        top, left, extent: the box of each row, int64 `(n,)`; an extent of 0 where nothing differs.
        box: rows and a size to uint8 `(rows, 3, size, size)`, what is seen from `top` and `left` on.
        drawn: rows to the images, uint8 `(rows, H, W, 3)`.
    """

    clean: NDArray[np.uint8]
    which: Places
    top: Places
    left: Places
    extent: Places
    box: Callable[[Places, int], NDArray[np.uint8]]
    drawn: Callable[[Places], NDArray[np.uint8]]


class _Windows:
    """The windows of all stages for changed boxes of one size."""

    def __init__(self, staged: Staged, lengths: dict[str, tuple[int, int]], size: int) -> None:
        self._staged = staged
        image = staged.stages[0].wiring.inputs[0]
        wiring = [stage.wiring for stage in staged.stages]
        heights, widths = ({name: sides[axis] for name, sides in lengths.items()} for axis in (0, 1))
        self.rows, self._row_windows = follow({image: start_boxes(heights[image], size)}, wiring, heights)
        self.columns, self._column_windows = follow({image: start_boxes(widths[image], size)}, wiring, widths)

    def stages(self) -> "zip[tuple[Stage, Window, Window]]":
        return zip(self._staged.stages, self._row_windows, self._column_windows, strict=True)


class _Boxes(NamedTuple):
    """Where the changed boxes of a batch lie.

    Attributes:
        slots: int64 `(n,)`, which of the kept images each row's clean one is.
        windows: for boxes of their size.
        top, left: int64 `(n,)`, the box's first row and column in the image.
    """

    slots: Places
    windows: _Windows
    top: Places
    left: Places

    def corner(self, name: str) -> tuple[Places, Places]:
        """First row and column of what they have changed in the map called `name`."""
        return self.windows.rows[name].start[self.top], self.windows.columns[name].start[self.left]


def _padding(stages: Sequence[Stage]) -> dict[str, int]:
    """The zeros that padded stages want around each map."""
    padding: dict[str, int] = {}
    for stage in stages:
        for name, field in zip(stage.wiring.inputs, stage.wiring.fields, strict=True):
            if stage.wiring.padded:
                padding[name] = max(padding.get(name, 0), field.before, field.after)
    return padding


def boxes_around(
    differs: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First row, first column and longer side, int64 `(n,)` each, of what `(n, H, W, 3)` marks; (0, 0, 0) for none."""
    rows: NDArray[np.bool_] = np.asarray(differs.any(axis=(2, 3)))
    columns: NDArray[np.bool_] = np.asarray(differs.any(axis=(1, 3)))
    top, left = rows.argmax(1), columns.argmax(1)
    bottom, right = (marks.shape[1] - 1 - marks[:, ::-1].argmax(1) for marks in (rows, columns))
    extent = np.where(np.asarray(rows.any(axis=1)), np.maximum(bottom - top, right - left) + 1, 0)
    return top, left, extent


def _lay(
    maps: NDArray[np.float32], box: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> None:
    """Put each `box` `(n, C, h, w)` into `maps` `(n, C, H, W)`, its corner at `rows` and `columns`."""
    view = sliding_window_view(maps, box.shape[2:], axis=(2, 3), writeable=True)
    view[np.arange(len(maps)), :, rows, columns] = box


def _taken(
    maps: NDArray[np.float32], height: int, width: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    view = sliding_window_view(maps, (height, width), axis=(2, 3))
    taken: NDArray[np.float32] = view[np.arange(len(maps)), :, rows, columns]
    return taken
