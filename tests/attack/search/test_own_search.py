"""What a search of somebody's own may not propose, and that it runs by the rules of the others where it is sound."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.search.protocol import Candidates, Plan
from pixelproof.errors import UsageError

BLACK = np.zeros((4, 1, 3), np.uint8)


@dataclass
class Proposing:
    """Proposes what it is given, to each image."""

    proposals: tuple[Any, ...]
    budget: int = 8

    def plan(self, problem):
        return Plan(
            fitness=problem.criterion.fitness,
            budget=self.budget,
            exhaustive=False,
            searches=lambda indices: (self._search() for _ in indices),
        )

    def _search(self):
        for proposal in self.proposals:
            fitness = yield proposal
            assert fitness.shape == (len(proposal[0]),)


def at(*positions: int) -> np.ndarray:
    return np.array(positions, np.int64)[:, None]


@pytest.fixture
def asked(make_crops, make_classifier):
    images, classifier = make_crops(3, 8, 7), make_classifier(8, 7, seed=5)
    return lambda method: attack(classifier, images, classifier(images).argmax(axis=1), method=method, progress=print)


def test_sound_proposals_are_counted_as_anothers(asked):
    found = asked(Proposing((Candidates(at(0, 1, 54, 55), BLACK), Candidates(at(2, 3, 4, 5), BLACK))))
    assert set(found.queries[~found.success].tolist()) == {8}


@pytest.mark.parametrize(
    ("proposals", "message"),
    [
        ((), "a search proposed nothing"),
        ([None], "a search proposed NoneType, expected Candidates"),
        (
            [Candidates(at(0, 1, 2, -1), BLACK)],
            r"positions -1 to 2, and there are 0 to 55, row \* W \+ column",
        ),
        ([Candidates(at(0, 1, 2, 56), BLACK)], "proposed positions 0 to 56, and there are 0 to 55"),
        ([Candidates(at(0, 1), BLACK)], r"proposed colors uint8 \(4, 1, 3\), expected uint8 \(m, 1, 3\)"),
        ([Candidates(at(0, 1, 2, 3), BLACK.astype(int))], r"proposed colors int64 \(4, 1, 3\), expected uint8"),
        ([Candidates(at(0, 1, 2, 3)[:, 0], BLACK)], r"proposed positions int64 \(4,\), expected int64 \(m, 1\)"),
        ([Candidates(np.zeros((4, 2), np.int64), BLACK)], r"proposed positions int64 \(4, 2\)"),
        ([Candidates(at(), BLACK[:0])], r"m above 0\. Next: python -c"),
    ],
)
def test_what_is_not_as_described_is_refused(asked, proposals, message: str):
    with pytest.raises(UsageError, match=message):
        asked(Proposing(tuple(proposals)))


def test_a_plan_is_looked_at_too(asked):
    class NoPlan:
        def plan(self, problem):
            return 3

    with pytest.raises(UsageError, match=r"NoPlan\.plan gave 3, expected a Plan"):
        asked(NoPlan())
    with pytest.raises(UsageError, match="budget is 0, expected 1 to"):
        asked(Proposing((Candidates(at(0), BLACK[:1]),), budget=0))
