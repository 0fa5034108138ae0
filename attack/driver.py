"""`attack`: checks what it is given, runs the search, and hands out each image's outcome as it ends."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.checks import (
    check_callable,
    check_classes_exist,
    checked_classes,
    checked_images,
    checked_number,
    checked_targets,
)
from pixelproof.attack.corners import Corners
from pixelproof.attack.criteria import criterion_for
from pixelproof.attack.de import DifferentialEvolution
from pixelproof.attack.engine import Engine
from pixelproof.attack.lane import Lane
from pixelproof.attack.levels import Levels
from pixelproof.attack.outcomes import failure, not_attacked, success
from pixelproof.attack.results import AttackResult, Outcome, Progress
from pixelproof.attack.search import Method, Plan, Predict, Problem
from pixelproof.errors import unknown_name

METHODS: dict[str, Callable[..., Method]] = {"corners": Corners, "de": DifferentialEvolution, "levels": Levels}

_PROGRESS_EVERY_S = 0.1
_HELP = 'python -c "from pixelproof.attack import attack; help(attack)"'


def attack(
    predict: Predict,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    method: str = "corners",
    pixels: int = 1,
    seed: int = 0,
    targets: NDArray[np.int64] | int | None = None,
    batch_size: int = 512,
    progress: Callable[[Progress], None] | None = None,
    on_finished: Callable[[Outcome], None] | None = None,
    **parameters: Any,  # noqa: ANN401  (each method's own)
) -> AttackResult:
    """Search each image for `pixels` changed pixels that make the classifier wrong.

    An image that the classifier gets wrong from the start is not attacked. A success is shown to the classifier a
    second time before it counts. Results depend on `seed` and on the image alone, not on `batch_size` nor on the other
    images (`evaluated` excepted), wherever `predict` computes a row alike in any batch of `batch_size`.

    Args:
        predict: uint8 `(batch_size, H, W, 3)` to float32 probabilities `(batch_size, classes)`. It always gets a whole
            batch, the same array each time, which it must neither keep nor change. For an adaptive attack it is the
            whole pipeline, purifier and classifier.
        images: uint8 `(n, H, W, 3)`.
        labels: integers `(n,)`, the true classes.
        method: `corners`, `levels` or `de`.
        pixels: k, the number of pixels that may change.
        seed: of `de`, 0 to 2^63 - 1; the other methods draw nothing.
        targets: the class that each image is to be taken for, integers `(n,)` or one for all; None: any wrong class.
        batch_size: rows of every batch.
        progress: called at most ten times a second, and at the end.
        on_finished: called with each image's outcome as soon as it is known, the images not attacked first.
        **parameters: of the method. `corners`: `order`, `low`, `high` (see `Corners`); `levels`: these and `levels`
            (see `Levels`); `de`: `population`, `generations`, `factor` (see `DifferentialEvolution`).

    Returns:
        The outcomes in the order of the images.

    Raises:
        UsageError: an argument, or what `predict` or `order` gave, is not as described.
        PixelproofError: `predict` gave NaN.
    """
    check_callable("predict", predict)
    for name, callback in (("progress", progress), ("on_finished", on_finished)):
        if callback is not None:
            check_callable(name, callback)
    images = checked_images(images)
    problem = problem_of(images, checked_classes("labels", labels, len(images)), targets, pixels, seed)
    plan = _method(method, parameters).plan(problem)
    if getattr(predict, "screens", False):  # it has not tried what it discards
        plan = dataclasses.replace(plan, exhaustive=False)
    engine = Engine(predict, problem, plan.fitness, checked_number("batch_size", batch_size, 1, 1 << 20))
    outcomes: list[Outcome] = []
    report = _Reporter(engine, plan, len(images), progress)
    for outcome in _outcomes(engine, problem, plan, report):
        outcomes.append(outcome)
        if on_finished is not None:
            on_finished(outcome)
    report.now()
    return AttackResult.of(outcomes)


class _Reporter:
    """Counts outcomes and calls `progress` now and then."""

    def __init__(self, engine: Engine, plan: Plan, images: int, progress: Callable[[Progress], None] | None) -> None:
        self._engine, self._plan, self._images, self._progress = engine, plan, images, progress
        self._finished = self._successes = 0
        self._due_s = time.monotonic()

    def count(self, outcome: Outcome) -> Outcome:
        self._finished += 1
        self._successes += outcome.success
        return outcome

    def now_and_then(self) -> None:
        if self._progress is not None and time.monotonic() >= self._due_s:
            self.now()

    def now(self) -> None:
        if self._progress is None:
            return
        under_way = sum(min(1.0, lane.queries / self._plan.budget) for lane in self._engine.lanes)
        share = (self._finished + under_way) / self._images
        self._progress(Progress(self._finished, self._images, self._successes, self._engine.evaluated, share))
        self._due_s = time.monotonic() + _PROGRESS_EVERY_S


def _outcomes(engine: Engine, problem: Problem, plan: Plan, report: _Reporter) -> Iterator[Outcome]:
    """Each image's outcome as it is known."""
    labels, classes = engine.labels()
    check_classes_exist("labels", problem.labels, classes)
    check_classes_exist("targets", problem.classes, classes)
    right = labels == problem.labels
    for index in np.flatnonzero(~right).tolist():
        yield report.count(not_attacked(problem, index))
    indices = np.flatnonzero(right)
    for ended in engine.run(zip(indices.tolist(), plan.searches(indices), strict=True)):
        for lane in ended:
            yield report.count(_ended(problem, plan, lane))
        report.now_and_then()


def _ended(problem: Problem, plan: Plan, lane: Lane) -> Outcome:
    if not lane.succeeded:
        return failure(problem, lane.index, queries=lane.queries, evaluated=lane.evaluated, exhausted=plan.exhaustive)
    positions, colours = lane.candidates.positions[lane.cursor], lane.candidates.colours[lane.cursor]
    return success(problem, lane.index, positions, colours, queries=lane.queries, evaluated=lane.evaluated)


def problem_of(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    targets: NDArray[np.int64] | int | None,
    pixels: int,
    seed: int,
) -> Problem:
    """What is attacked, checked; `UsageError` where a value does not fit."""
    _, height, width, _ = images.shape
    checked = None if targets is None else checked_targets(targets, labels)
    return Problem(
        images=images,
        labels=labels,
        targets=checked,
        pixels=checked_number("pixels", pixels, 1, height * width),
        seed=checked_number("seed", seed, 0, 2**63 - 1),
        criterion=criterion_for(checked),
    )


def _method(name: str, parameters: dict[str, Any]) -> Method:
    if not isinstance(name, str) or name not in METHODS:
        raise unknown_name("attack method", str(name), METHODS, _HELP)
    method: Any = METHODS[name]
    known = [field.name for field in dataclasses.fields(method)]
    for given in parameters:
        if given not in known:
            raise unknown_name(f"parameter of method '{name}'", given, known, _HELP)
    made: Method = method(**parameters)
    return made
