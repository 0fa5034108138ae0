"""Attacks in turn on the same images, each image's outcome kept, every success verified as deployed."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.search import Plan, holds
from pixelproof.attack.evaluation.store import Record, Records
from pixelproof.benchmarks.attack_speed.contenders import Contender
from pixelproof.benchmarks.attack_speed.target import Target
from pixelproof.models.data import ImageSet


def attack_in_turns(
    target: Target,
    contenders: Sequence[Contender],
    data: ImageSet,
    chosen: NDArray[np.int64],
    stores: Sequence[Records],
    progress: Callable[[int, int], None],
) -> int:
    """Attack each image by every contender, the first of them another one at each image.

    Args:
        target: whose deployed classifier has the last word on each success.
        contenders: warmed up.
        data: all images.
        chosen: which to attack, indices into `data`.
        stores: each contender's records; what is there already is not attacked again.
        progress: called after each image with how many are done, and how many there are.

    Returns:
        How many outcomes were in the stores already.
    """
    kept = sum(int(index) in store.records for store in stores for index in chosen)
    for turn, index in enumerate(chosen.tolist()):
        for offset in range(len(contenders)):
            which = (turn + offset) % len(contenders)
            if index not in stores[which].records:
                stores[which].add(_attack(target, contenders[which], data, index))
        progress(turn + 1, len(chosen))
    return kept


def _attack(target: Target, contender: Contender, data: ImageSet, index: int) -> Record:
    original, label = data.images[index], int(data.labels[index])
    started = time.perf_counter()
    found = contender.attack(original, label)
    seconds = time.perf_counter() - started
    plan = Plan(contender.name, contender.name, pixels=1, seed=0)
    success = holds(plan, found.image, original, label, target.deployed.predict)
    pixels = np.argwhere((found.image != original).any(-1)) if success else np.empty((0, 2), np.int64)
    return Record(
        image=index,
        success=success,
        pixels=pixels.tolist(),
        colors=[found.image[row, column].tolist() for row, column in pixels],
        queries=found.queries,
        exhausted=found.exhausted,
        seconds=seconds,
    )
