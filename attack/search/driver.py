"""`attack`: checks what it is given, runs the search, and hands out each image's outcome as it ends."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods import METHODS, options_of
from pixelproof.attack.search.checks import (
    OWN_SEARCH,
    check_adds_up,
    check_callable,
    check_callbacks,
    check_classes_exist,
    checked_classes,
    checked_images,
    checked_number,
    checked_search,
    checked_targets,
)
from pixelproof.attack.search.protocol import Method, Plan, Predict, Problem, as_predictor
from pixelproof.attack.search.results import AttackResult, Outcome, Progress, failure, success
from pixelproof.attack.search.scheduler import InFlightSearch, Scheduler
from pixelproof.deprecation import renamed
from pixelproof.errors import UsageError, unknown_name

_PROGRESS_EVERY_S = 0.1
_HELP = 'python -c "from pixelproof.attack import attack; help(attack)"'


def attack(
    predict: Predict,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    method: str | Method = "corners",
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
        method: `corners`, `levels`, `de`, or `strongest`, all of them one after the other; or one of their objects,
            such as `Corners(order=...)`; or a search of your own: what has a `plan` (see `pixelproof.attack.search`
            and `examples/own_search.py`).
        pixels: k, the number of pixels that may change.
        seed: of `de`, 0 to 2^63 - 1, and the first of `strongest`; the others draw nothing.
        targets: the class that each image is to be taken for, integers `(n,)` or one for all; None: any wrong class.
        batch_size: rows of every batch.
        progress: called at most ten times a second, and at the end.
        on_finished: called with each image's outcome as soon as it is known, the images not attacked first.
        **parameters: of the method that is named. `corners`: `order`, `low`, `high`, `colors` (see `Corners`);
            `levels`: `order`, `low`, `high`, `levels` (see `Levels`); `de`: `population`, `generations`, `factor` (see
            `DifferentialEvolution`); `strongest`: `order`, `colors`, `levels`, `seeds`, `population`, `generations`,
            `factor` (see `Strongest`).

    Returns:
        The outcomes in the order of the images.

    Raises:
        UsageError: an argument, or what `predict` or `order` gave, is not as described.
        PixelproofError: `predict` gave NaN.
    """
    check_callable("predict", predict)
    check_callbacks(progress=progress, on_finished=on_finished)
    predictor = as_predictor(predict)
    problem = problem_of(images, labels, targets, pixels, seed)
    plan = _plan(method, parameters, problem)
    run = _Run(
        Scheduler(predictor, problem, checked_number("batch_size", batch_size, 1, 1 << 20)), problem, plan, progress
    )
    outcomes: list[Outcome] = []
    for outcome in run.outcomes(exhausts=predictor.is_exact):
        outcomes.append(outcome)
        if on_finished is not None:
            on_finished(outcome)
    run.report()
    return AttackResult.of(outcomes)


def got_right(before: NDArray[np.float32], problem: Problem) -> NDArray[np.bool_]:
    """Which images are to be attacked: those that the classifier gets right, by its answers `before`.

    `before`: checked probabilities `(n, classes)`. Raises `UsageError` where a row does not add up to 1, or where the
    classifier does not have a label or a target.
    """
    check_adds_up(before)
    check_classes_exist("labels", problem.labels, before.shape[1])
    check_classes_exist("targets", problem.classes, before.shape[1])
    right: NDArray[np.bool_] = before.argmax(axis=1) == problem.labels
    return right


class _Run:
    """A plan, and those that follow it, on a problem's images; calls `progress` now and then."""

    def __init__(
        self, scheduler: Scheduler, problem: Problem, plan: Plan, progress: Callable[[Progress], None] | None
    ) -> None:
        self._scheduler, self._problem, self._plan, self._progress = scheduler, problem, plan, progress
        self._budget = sum(each.budget for each in plan.chain())
        self._finished = self._successes = 0
        self._spent: dict[int, tuple[int, int]] = {}  # queries and evaluated, of images that withstood a plan
        self._due_s = time.monotonic()

    def outcomes(self, *, exhausts: bool) -> Iterator[Outcome]:
        """Each image's outcome as it is known; `exhausts`: every proposed candidate is evaluated."""
        before = self._scheduler.clean()
        right = got_right(before, self._problem)
        for index in np.flatnonzero(~right).tolist():
            yield self._counted(failure(self._problem, index, before[index], attacked=False))
        standing = np.flatnonzero(right)
        for plan in self._plan.chain():
            exhausts = exhausts and plan.exhaustive
            yield from self._searched(plan, standing, before, exhausts)
            standing = np.array(sorted(self._spent), np.int64)

    def _searched(
        self, plan: Plan, indices: NDArray[np.int64], before: NDArray[np.float32], exhausts: bool
    ) -> Iterator[Outcome]:
        """The outcomes that a plan decides; where another plan follows, only the successes."""
        searches = zip(indices.tolist(), plan.searches(indices), strict=True)
        for ended in self._scheduler.run(searches, plan.fitness, repeats=plan.repeats):
            for search in ended:
                queries, evaluated = self._spent.pop(search.index, (0, 0))
                spent = queries + search.queries, evaluated + search.evaluated
                if not search.succeeded and plan.then is not None:
                    self._spent[search.index] = spent
                else:
                    yield self._counted(self._ended(search, before[search.index], spent, exhausts))
            if time.monotonic() >= self._due_s:
                self.report()

    def _ended(
        self, search: InFlightSearch, before: NDArray[np.float32], spent: tuple[int, int], exhausts: bool
    ) -> Outcome:
        queries, evaluated = spent
        if search.probabilities is None:
            return failure(
                self._problem, search.index, before, queries=queries, evaluated=evaluated, exhausted=exhausts
            )
        return success(
            self._problem,
            search.index,
            search.candidates.positions[search.cursor],
            search.candidates.colors[search.cursor],
            before=before,
            after=search.probabilities,
            queries=queries,
            evaluated=evaluated,
        )

    def _counted(self, outcome: Outcome) -> Outcome:
        self._finished += 1
        self._successes += outcome.success
        return outcome

    def report(self) -> None:
        """Call `progress` with how far the attack has come."""
        if self._progress is None:
            return
        in_flight = sum(search.queries for search in self._scheduler.in_flight)
        asked = in_flight + sum(queries for queries, _ in self._spent.values())
        images = len(self._problem.images)
        share = min(1.0, (self._finished + asked / self._budget) / images)
        self._progress(Progress(self._finished, images, self._successes, self._scheduler.evaluated, share))
        self._due_s = time.monotonic() + _PROGRESS_EVERY_S


def problem_of(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    targets: NDArray[np.int64] | int | None,
    pixels: int,
    seed: int,
) -> Problem:
    """The problem of `attack`'s arguments of the same names; raises `UsageError` where a value does not fit."""
    images = checked_images(images)
    labels = checked_classes("labels", labels, len(images))
    _, height, width, _ = images.shape
    return Problem(
        images=images,
        labels=labels,
        targets=None if targets is None else checked_targets(targets, labels),
        pixels=checked_number("pixels", pixels, 1, height * width),
        seed=checked_number("seed", seed, 0, 2**63 - 1),
    )


def _plan(method: str | Method, parameters: dict[str, Any], problem: Problem) -> Plan:
    if isinstance(method, str | type) or not callable(getattr(method, "plan", None)):
        return _named(str(method), parameters).plan(problem)
    if parameters:
        raise UsageError(
            f"a method that is made already takes no {', '.join(parameters)}. Next: {type(method).__name__}(...) "
            "takes parameters"
        )
    plan: Any = method.plan(problem)
    if type(method) in METHODS.values():
        return plan  # type: ignore[no-any-return]
    if not isinstance(plan, Plan) or plan.then is not None:
        raise UsageError(f"{type(method).__name__}.plan gave {plan!r}, expected a Plan that none follows. {OWN_SEARCH}")
    checked_number("budget", plan.budget, 1, 2**63 - 1)
    return dataclasses.replace(
        plan, searches=lambda indices: (checked_search(each, problem) for each in plan.searches(indices))
    )


def _named(name: str, parameters: dict[str, Any]) -> Method:
    if name not in METHODS:
        raise unknown_name("attack method", name, METHODS, _HELP)
    method: Any = METHODS[name]
    parameters = renamed(parameters, "colours", "colors", "attack")
    known = options_of(name)
    for given in parameters:
        if given not in known:
            raise unknown_name(f"parameter of method '{name}'", given, known, _HELP)
    made: Method = method(**parameters)
    return made
