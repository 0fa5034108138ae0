import numpy as np
import pytest

from pixelproof.attack.search.protocol import Criterion

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.25, 0.25, 0.5]], np.float32)


@pytest.mark.parametrize(
    ("criterion", "classes", "succeeded"),
    [
        (Criterion(targeted=False), [0, 1, 2], [False, True, False]),  # of ties the lowest index
        (Criterion(targeted=False), [1, 0, 0], [True, False, True]),
        (Criterion(targeted=True), [0, 1, 2], [True, False, True]),
        (Criterion(targeted=True), [1, 0, 0], [False, True, False]),
    ],
)
def test_success(criterion, classes, succeeded):
    assert criterion.succeeded(PROBABILITIES, np.array(classes)).tolist() == succeeded


def test_fitness_is_the_class_probability():
    classes = np.array([0, 1, 2])
    assert Criterion(targeted=False).fitness(PROBABILITIES, classes).tolist() == pytest.approx([0.5, 0.4, 0.5])
    assert Criterion(targeted=True).fitness(PROBABILITIES, classes).tolist() == pytest.approx([-0.5, -0.4, -0.5])


def test_share_sets_the_class_against_the_best_other():
    classes = np.array([0, 1, 2])
    assert Criterion(targeted=False).share(PROBABILITIES, classes).tolist() == pytest.approx([-3 / 8, -1 / 2, -1 / 3])
    assert Criterion(targeted=True).share(PROBABILITIES, classes).tolist() == pytest.approx([-5 / 8, -1 / 2, -2 / 3])


def test_share_tells_sure_answers_apart_where_the_probability_cannot():
    sure = np.array([[1, 1e-12, 0], [1, 3e-12, 0]], np.float32)
    classes = np.zeros(2, np.int64)
    assert len(set(Criterion(targeted=False).fitness(sure, classes))) == 1
    first, second = Criterion(targeted=False).share(sure, classes)
    assert second < first
