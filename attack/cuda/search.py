"""`attack` for differential evolution, the population and the network both on the device."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device
from pixelproof.attack.cuda.networks import DeviceNetwork
from pixelproof.attack.cuda.table import Table
from pixelproof.attack.methods.differential_evolution import DifferentialEvolution, drawn, key_of
from pixelproof.attack.search.checks import check_callbacks, checked_number, checked_probabilities
from pixelproof.attack.search.driver import got_right, problem_of
from pixelproof.attack.search.protocol import Predict, Problem
from pixelproof.attack.search.results import AttackResult, Outcome, Progress, failure, success
from pixelproof.errors import PixelproofError, UsageError

_MOST_PLACES = 2**31 - 1  # the kernels' indices are C ints


def attack_on_device(
    device: Device,
    network: DeviceNetwork,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    pixels: int = 1,
    seed: int = 0,
    targets: NDArray[np.int64] | int | None = None,
    population: int = 400,
    generations: int = 100,
    factor: float = 0.5,
    lanes: int = 64,
    rows: int = 3200,
    exact: Predict | None = None,
    progress: Callable[[Progress], None] | None = None,
    on_finished: Callable[[Outcome], None] | None = None,
) -> AttackResult:
    """What `attack(predict, images, labels, method="de", ...)` does, with the same candidates and the same results.

    Only `evaluated` differs: a generation in which a candidate succeeds is evaluated to its end. Without memory for all
    candidates, one that comes again is evaluated again (see `Seen`).

    Each lane's state crosses to the host once a generation, how many of its candidates are new, whether it goes on and
    its first success; where one succeeds, the probabilities of its second look do too. Nothing else does.

    Args:
        device: the GPU; see `open_device`.
        network: the classifier on it, or the whole pipeline.
        images, labels, pixels, seed, targets, progress, on_finished: as for `attack`.
        population, generations, factor: as for `DifferentialEvolution`.
        lanes: images that are attacked at a time.
        rows: candidates that the network is shown at a time; best a whole share of lanes x population.
        exact: uint8 `(n, H, W, 3)` to probabilities `(n, classes)`, where `network` is a faster, less precise form of
            this: it decides which images are attacked, a success that it does not share is passed over like one that
            does not hold a second time, and the probabilities returned are its own. None: `network` itself.

    Raises:
        UsageError: an argument, or what `exact` or the network gave, is not as described.
        PixelproofError: the device has too little memory, or one of the two gave NaN.
    """
    check_callbacks(progress=progress, on_finished=on_finished, exact=exact)
    settings = DifferentialEvolution(population=population, generations=generations, factor=factor)
    problem = problem_of(images, labels, targets, pixels, seed)
    lanes = min(checked_number("lanes", lanes, 1, 1 << 20), len(problem.images))
    rows = min(checked_number("rows", rows, 1, 1 << 20), lanes * population, network.most_rows or lanes * population)
    if lanes * population > _MOST_PLACES:
        raise UsageError(f"{lanes} lanes of {population} candidates are more than {_MOST_PLACES}. Next: fewer lanes")
    table = Table(
        device,
        network,
        problem.images,
        lanes=lanes,
        size=population,
        pixels=pixels,
        rows=rows,
        factor=settings.factor,
        last=generations,
        targeted=targets is not None,
    )
    outcomes: list[Outcome] = []
    search = _Search(table, problem, generations, exact or table.classify)
    due = time.monotonic()
    for outcome in search.outcomes():
        outcomes.append(outcome)
        if on_finished is not None:
            on_finished(outcome)
        if progress is not None and (time.monotonic() >= due or len(outcomes) == len(problem.images)):
            progress(search.progress(outcomes))
            due = time.monotonic() + 0.1
    return AttackResult.of(outcomes)


def _generation(counter: np.int32) -> int:
    """Which generation a lane's counter stands for: a lane that stopped in generation g holds ~g, below 0."""
    return int(max(counter, ~counter))


@dataclass
class _Lane:
    """An image under attack, as the host knows it."""

    index: int
    generation: int = 0
    evaluated: int = 0


class _Search:
    """Keeps the lanes full, and settles those that stop."""

    def __init__(self, table: Table, problem: Problem, last: int, exact: Predict) -> None:
        self._table, self._problem, self._last, self._exact = table, problem, last, exact
        self._size = table.sizes.size
        self._lanes: dict[int, _Lane] = {}
        self._evaluated = 0
        self._before = checked_probabilities(exact(problem.images), len(problem.images)).copy()  # it may use it again
        if self._before.shape[1] != table.network.classes:
            raise UsageError(
                f"exact has {self._before.shape[1]} classes, and the network on the device "
                f"{table.network.classes}. Next: give the same network in both forms"
            )

    def outcomes(self) -> Iterator[Outcome]:
        """Each image's outcome as it is known."""
        table, problem, before = self._table, self._problem, self._before
        right = got_right(before, problem)
        for index in np.flatnonzero(~right).tolist():
            yield failure(problem, index, before[index], attacked=False)
        waiting = iter(np.flatnonzero(right).tolist())
        self._fill(range(table.sizes.lanes), waiting)
        while self._lanes:
            new = table.generation(fresh=any(lane.generation == 0 for lane in self._lanes.values()))
            for number, running in self._lanes.items():
                running.evaluated += int(new[number])
            self._evaluated += int(new.sum())
            ended = self._settle()
            for lane, outcome in ended.items():
                del self._lanes[lane]
                yield outcome
            self._fill(ended, waiting)

    def progress(self, outcomes: list[Outcome]) -> Progress:
        """How far it has come."""
        images = len(self._problem.images)
        under_way = sum(lane.generation / (self._last + 1) for lane in self._lanes.values())
        successes = sum(outcome.success for outcome in outcomes)
        share = min(1.0, (len(outcomes) + under_way) / images)
        return Progress(len(outcomes), images, successes, self._evaluated, share)

    def _fill(self, free: "range | dict[int, Outcome]", waiting: Iterator[int]) -> None:
        taken = list(zip(free, waiting, strict=False))
        if not taken:
            return
        table, problem = self._table, self._problem
        arrays = [table.image_of, table.class_of, table.keys, table.generations, table.winners]
        image_of, class_of, keys, generations, winners = (array.read() for array in arrays)
        for lane, index in taken:
            keys[lane] = key_of(problem, index)
            image_of[lane], class_of[lane] = index, problem.classes[index]
            generations[lane], winners[lane] = 0, self._size
            self._lanes[lane] = _Lane(index)
        for array, values in zip(arrays, (image_of, class_of, keys, generations, winners), strict=True):
            array.write(values)

    def _settle(self) -> dict[int, Outcome]:
        """The outcomes of the lanes that stopped; a success that does not hold when shown again goes on."""
        generations = self._table.generations.read()
        for number, lane in self._lanes.items():
            lane.generation = _generation(generations[number])
        stopped = [number for number in self._lanes if generations[number] < 0]
        if not stopped:
            return {}
        winners = self._table.winners.read()
        ended, doubtful = {}, {}
        for number in stopped:
            if winners[number] < 0:
                raise _gave_nan()
            if winners[number] < self._size:
                doubtful[number] = int(winners[number])
            else:
                ended[number] = self._failed(number)
        return ended | self._confirm(doubtful)

    def _confirm(self, doubtful: dict[int, int]) -> dict[int, Outcome]:
        """Show each lane's winner again; behind one that fails the next counts, and behind the last the lane goes on.

        Args:
            doubtful: lanes, and their first candidate that succeeded.
        """
        ended: dict[int, Outcome] = {}
        while doubtful:
            now = dict(list(doubtful.items())[: self._table.rows])
            held = self._look_again(now)
            confirmed = self._exactly({number: self._succeeded(number, now[number], held[number]) for number in held})
            refuted = {number: winner for number, winner in now.items() if number not in confirmed}
            ended |= confirmed
            doubtful = {number: winner for number, winner in doubtful.items() if number not in now}
            if refuted:
                won, resumed = self._table.won.read(), []
                for number, winner in refuted.items():
                    later = np.flatnonzero(won[number, winner + 1 :])
                    if later.size:
                        doubtful[number] = winner + 1 + int(later[0])
                    else:
                        resumed.append(number)
                ended |= self._resume(resumed)
        return ended

    def _look_again(self, now: dict[int, int]) -> dict[int, NDArray[np.float32]]:
        """The probabilities of those winners that succeed again."""
        table, numbers = self._table, list(now)
        generations, winners = table.generations.read(), table.winners.read()
        winners[numbers] = self._size
        table.winners.write(winners)
        opened = generations.copy()
        opened[numbers] = ~generations[numbers]  # the kernels leave stopped lanes alone
        table.generations.write(opened)
        table.look_at(np.array([number * self._size + winner for number, winner in now.items()], np.int64))
        table.generations.write(generations)
        again = table.winners.read()
        if (again[numbers] < 0).any():
            raise _gave_nan()
        shown = table.probabilities.read()
        return {number: shown[row].copy() for row, number in enumerate(numbers) if again[number] < self._size}

    def _exactly(self, held: dict[int, Outcome]) -> dict[int, Outcome]:
        """Those whose image deceives the exact network as well; `table.classify` would say what it said before."""
        if not held or self._exact == self._table.classify:
            return held
        problem, indices = self._problem, [outcome.index for outcome in held.values()]
        shown = np.stack([outcome.image for outcome in held.values()])
        probabilities = checked_probabilities(self._exact(shown), len(shown)).copy()
        again = problem.criterion.succeeded(probabilities, problem.classes[indices])
        judged = zip(held.items(), probabilities, again, strict=True)
        return {
            number: replace(outcome, probabilities_after=after)
            for (number, outcome), after, deceived in judged
            if deceived
        }

    def _resume(self, numbers: list[int]) -> dict[int, Outcome]:
        """Let lanes without a winner take their children and go on; those that were in their last generation end."""
        if not numbers:
            return {}
        table = self._table
        before, winners = table.generations.read(), table.winners.read()
        alone = np.minimum(before, ~before)  # every lane stopped
        alone[numbers] = ~before[numbers]  # but these
        winners[numbers] = self._size
        table.winners.write(winners)
        table.generations.write(alone)
        table.close_generation()
        after = table.generations.read()
        before[numbers] = after[numbers]
        table.generations.write(before)
        for number in numbers:
            self._lanes[number].generation = _generation(after[number])
        return {number: self._failed(number) for number in numbers if after[number] < 0}

    def _failed(self, number: int) -> Outcome:
        lane, queries = self._lanes[number], (self._last + 1) * self._size
        before = self._before[lane.index]
        return failure(self._problem, lane.index, before, queries=queries, evaluated=lane.evaluated)

    def _succeeded(self, number: int, winner: int, after: NDArray[np.float32]) -> Outcome:
        lane = self._lanes[number]
        candidate = drawn(self._table.children[number][winner].read()[None], *self._problem.size)
        spent = lane.generation * self._size
        return success(
            self._problem,
            lane.index,
            candidate.positions[0],
            candidate.colors[0],
            before=self._before[lane.index],
            after=after,
            queries=spent + winner + 1,
            evaluated=lane.evaluated,
        )


def _gave_nan() -> PixelproofError:
    return PixelproofError(
        "the classifier gave NaN for a candidate. Next: check its weights, or its precision on this device"
    )
