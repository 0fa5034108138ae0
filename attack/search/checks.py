"""What an attack accepts; everything else is refused with a message that says what was given and what is expected."""

import contextlib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.protocol import Candidates, Problem, Search
from pixelproof.errors import PixelproofError, UsageError

_HELP = 'Next: python -c "from pixelproof.attack import attack; help(attack)"'
OWN_SEARCH = 'Next: python -c "from pixelproof.attack import search; help(search)"'
_ROUNDING = 1e-3  # by which a softmax in half precision may exceed 1, and what is left of 1 be below 0
_SUM_ROUNDING = 1e-2  # and all of its classes together differ from it


def checked_images(images: Any) -> NDArray[np.uint8]:  # noqa: ANN401  (whatever the caller gave)
    """`images` as a C-contiguous uint8 `(n, H, W, 3)`, n, H and W at least 1."""
    given = as_array("images", images, "uint8 of shape (n, H, W, 3)")
    if given.dtype != np.uint8 or given.ndim != 4 or given.shape[3] != 3:
        raise _unfit("images", "uint8 of shape (n, H, W, 3)", given)
    if given.size == 0:
        raise UsageError(f"no image to attack: images has shape {given.shape}, expected n, H, W >= 1. {_HELP}")
    return np.ascontiguousarray(given)


def checked_classes(name: str, classes: Any, count: int) -> NDArray[np.int64]:  # noqa: ANN401
    """`classes` as int64 `(count,)`, none negative."""
    expected = f"integers of shape ({count},), one for each image"
    given = as_array(name, classes, expected)
    if given.dtype.kind not in "iu" or given.shape != (count,):
        raise _unfit(name, expected, given)
    converted = given.astype(np.int64)  # a -1 once stored as uint64 is -1 again
    if converted.min() < 0:
        raise UsageError(f"{name} has {given[converted.argmin()]}, expected classes from 0 to 2^63 - 1. {_HELP}")
    return converted


def checked_targets(targets: Any, labels: NDArray[np.int64]) -> NDArray[np.int64]:  # noqa: ANN401
    """`targets` (one integer for all images, or `(n,)`) as int64 `(n,)`, each another class than the label."""
    given = as_array("targets", targets, "one integer, or integers (n,)")
    given = checked_classes("targets", np.full(len(labels), given) if given.ndim == 0 else given, len(labels))
    same = np.flatnonzero(given == labels)
    if same.size:
        raise UsageError(
            f"image {same[0]} is to be taken for class {given[same[0]]}, which is its label; expected another class "
            f"({same.size} such images). Next: leave out the images of the target class"
        )
    return given


def checked_box(low: Any, high: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:  # noqa: ANN401
    """The ends of a color box, integers 0 to 255 of any shape that broadcasts to `shape`: uint8, read-only."""
    ends = _checked_levels("low", low, shape), _checked_levels("high", high, shape)
    above = np.argwhere(ends[0] > ends[1])
    if above.size:
        where = tuple(above[0].tolist())
        raise UsageError(
            f"low is {ends[0][where]}, above high, {ends[1][where]}, at (image, row, column, channel) {where}; "
            f"expected low <= high everywhere. {_HELP}"
        )
    return ends


def checked_table(colors: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:  # noqa: ANN401
    """Colors for every position, if they are uint8 of `shape`, `(n, H, W)`, and `(C, 3)` behind it."""
    expected = f"uint8 of shape ({', '.join(map(str, shape))}, C, 3), C >= 1"
    given = as_array("colors", colors, expected)
    if given.dtype != np.uint8 or given.ndim != 5 or given.shape[:3] != shape or given.shape[4] != 3 or not given.size:
        raise _unfit("colors", expected, given)
    return given


def _checked_levels(name: str, levels: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:  # noqa: ANN401
    """`levels` (an integer or an array of integers, 0 to 255) broadcast to `shape`, uint8, read-only."""
    expected = f"integers that broadcast to {shape}"
    given = as_array(name, levels, expected)
    if given.dtype.kind not in "iu":
        raise _unfit(name, expected, given)
    if given.size == 0 or given.min() < 0 or given.max() > 255:
        raise UsageError(
            f"{name} goes from {given.min(initial=256)} to {given.max(initial=-1)}, expected 0 to 255. {_HELP}"
        )
    try:
        return np.broadcast_to(given.astype(np.uint8), shape)
    except ValueError:
        raise _unfit(name, expected, given) from None


def checked_number(name: str, number: Any, least: int, most: int) -> int:  # noqa: ANN401
    """`number` as an int from `least` to `most`."""
    try:
        value = operator.index(number)
    except TypeError:
        raise UsageError(f"{name} is {number!r}, expected an integer from {least} to {most}. {_HELP}") from None
    if not least <= value <= most:
        raise UsageError(f"{name} is {value}, expected {least} to {most}. {_HELP}")
    return value


def checked_probabilities(probabilities: Any, rows: int) -> NDArray[np.float32]:  # noqa: ANN401
    """What a classifier gave for a batch, if it is float32 `(rows, classes)`, each from 0 to 1."""
    expected = f"float32 probabilities of shape ({rows}, classes >= 2)"
    if not isinstance(probabilities, np.ndarray):
        kind = f"{type(probabilities).__module__}.{type(probabilities).__qualname__}"
        raise UsageError(f"predict's answer is a {kind}, expected a NumPy array: {expected}. {_HELP}")
    if probabilities.dtype != np.float32 or probabilities.ndim != 2:
        raise _unfit("predict's answer", expected, probabilities)
    if len(probabilities) != rows or probabilities.shape[1] < 2:
        raise _unfit("predict's answer", expected, probabilities)
    least, most = float(probabilities.min()), float(probabilities.max())
    if not (least >= -_ROUNDING and most <= 1 + _ROUNDING):  # NaN, too
        raise _no_probabilities(probabilities)
    return probabilities


def check_adds_up(probabilities: NDArray[np.float32]) -> None:
    """Refuse probabilities `(n, classes)` of which a row does not add up to 1."""
    sums = probabilities.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_ROUNDING)
    if off.size:
        raise UsageError(
            f"predict's answer for image {off[0]} adds up to {sums[off[0]]:.4g}, and probabilities to 1. "
            "Next: let predict end in a softmax"
        )


def _no_probabilities(answer: NDArray[np.float32]) -> PixelproofError:
    if np.isnan(answer).any():
        row = int(np.flatnonzero(np.isnan(answer).any(axis=1))[0])
        return PixelproofError(f"predict gave NaN in row {row} of {len(answer)}. Next: check the classifier's weights")
    return UsageError(
        f"predict's answer goes from {answer.min():.4g} to {answer.max():.4g}, and probabilities from 0 to 1; "
        "logits would mislead the search. Next: let predict end in a softmax"
    )


def check_classes_exist(name: str, classes: NDArray[np.int64], count: int) -> None:
    """Refuse classes that the classifier does not have."""
    if classes.max() >= count:
        where = int(classes.argmax())
        raise UsageError(
            f"{name} has class {classes[where]} (image {where}), but predict knows {count} classes, 0 to {count - 1}. "
            "Next: check that labels and classifier belong to the same data"
        )


def check_callable(name: str, given: Any) -> None:  # noqa: ANN401  (whatever the caller gave)
    """Refuse what cannot be called, before any work is done."""
    if not callable(given):
        raise UsageError(f"{name} is {given!r}, expected a function or another callable. {_HELP}")


def check_callbacks(**callbacks: Callable[..., Any] | None) -> None:
    """Refuse what is given to be called and cannot be."""
    for name, callback in callbacks.items():
        if callback is not None:
            check_callable(name, callback)


def as_array(name: str, given: Any, expected: str) -> NDArray[Any]:  # noqa: ANN401  (whatever the caller gave)
    """`given` as an array, of whatever dtype and shape."""
    try:
        return np.asarray(given)
    except ValueError:
        raise UsageError(
            f"{name} is a {type(given).__name__} of parts that differ in shape, expected {expected}. {_HELP}"
        ) from None


def _unfit(name: str, expected: str, given: NDArray[Any]) -> UsageError:
    return UsageError(f"{name} has dtype {given.dtype} and shape {given.shape}, expected {expected}. {_HELP}")


def check_factor(name: str, number: Any) -> None:  # noqa: ANN401
    """Refuse a differential weight that is not above 0 and at most 2."""
    if not isinstance(number, int | float | np.floating) or not 0 < number <= 2:
        raise UsageError(f"{name} is {number!r}, expected a number above 0, at most 2. {_HELP}")


def checked_search(search: Search, problem: Problem) -> Search:
    """A search of somebody's own, each of its proposals looked at; `UsageError` for one that is not as described."""
    fitness: NDArray[np.float32] | None = None
    with contextlib.closing(search):
        while True:
            try:
                proposed = next(search) if fitness is None else search.send(fitness)
            except StopIteration:
                if fitness is None:
                    raise UsageError(f"a search proposed nothing. {OWN_SEARCH}") from None
                return
            fitness = yield _checked(proposed, problem)


def _checked(proposed: Any, problem: Problem) -> Candidates:  # noqa: ANN401  (whatever the search gave)
    if not isinstance(proposed, tuple) or len(proposed) != 2:
        raise UsageError(f"a search proposed {type(proposed).__name__}, expected Candidates. {OWN_SEARCH}")
    positions, colors = map(np.asarray, proposed)
    count, pixels = len(np.atleast_1d(positions)), problem.pixels
    _check("positions", positions, (count, pixels), np.int64)
    _check("colors", colors, (count, pixels, 3), np.uint8)
    places = problem.size[0] * problem.size[1]
    if positions.min() < 0 or positions.max() >= places:
        raise UsageError(
            f"a search proposed positions {positions.min()} to {positions.max()}, and there are 0 to {places - 1}, "
            f"row * W + column. {OWN_SEARCH}"
        )
    return Candidates(positions, colors)


def _check(name: str, part: NDArray[Any], shape: tuple[int, ...], kind: type[np.generic]) -> None:
    if part.shape != shape or part.dtype != kind or not part.size:
        expected = f"{kind.__name__} (m, {', '.join(map(str, shape[1:]))}), m above 0"
        raise UsageError(f"a search proposed {name} {part.dtype} {part.shape}, expected {expected}. {OWN_SEARCH}")
