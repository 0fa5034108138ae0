"""Differential evolution against a slow reference that is written from the method's description alone."""

import itertools

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.search.randomness import normal_colors, philox4x32, search_key

SIZE = {"population": 9, "generations": 12}
ONE_BY_ONE = 1  # rows a batch: the classifier is then shown the candidates in their order, and nothing else


def index_below(bound, word):
    return int(word) * bound >> 32


def first_individual(key, own, pixels, height, width):
    """k times (row, column, red, green, blue)."""
    words = itertools.chain.from_iterable(philox4x32((block, own, 0, 0), key) for block in itertools.count())
    individual = []
    for _ in range(pixels):
        row, column = index_below(height, next(words)), index_below(width, next(words))
        individual.append([row, column, *(normal_colors()[int(next(words)) >> 16] for _ in range(3))])
    return np.array(individual, np.float32)


def three_others(key, own, generation, population):
    for block in itertools.count():
        words = philox4x32((block, own, generation, 0), key)
        chosen = [index_below(population, word) for word in words[:3]]
        if len({own, *chosen}) == 4:
            return chosen
    raise AssertionError("unreachable")


def drawn_numbers(numbers, height, width):
    """Row, column and color of one pixel, each number floored and then clipped."""
    highest = (height - 1, width - 1, 255, 255, 255)
    return [min(max(int(np.floor(number)), 0), most) for number, most in zip(numbers, highest, strict=True)]


def seen(image, individual):
    """The image with the individual's pixels set."""
    changed = image.copy()
    for numbers in individual:
        row, column, *color = drawn_numbers(numbers, *image.shape[:2])
        changed[row, column] = color
    return changed


def evolve(key, population, generations, factor, pixels, height, width):
    """Yields every individual, is sent its fitness: one at a time, in the order in which they count."""
    members = [first_individual(key, own, pixels, height, width) for own in range(population)]
    fitness = []
    for individual in members:
        fitness.append((yield individual))
    for generation in range(1, generations + 1):
        before = list(members)
        for own in range(population):
            r1, r2, r3 = three_others(key, own, generation, population)
            child = before[r1] + np.float32(factor) * (before[r2] - before[r3])
            child_fitness = yield child
            if child_fitness <= fitness[own]:
                members[own], fitness[own] = child, child_fitness


def reference(predict, image, label, target, *, seed, pixels, population, generations, factor=0.5):
    """Every candidate's image in order, how many there were, and whether the last is a success.

    Of one pixel, a candidate that came before is counted and not shown again.
    """
    key = search_key(seed, "de", pixels, target, label, image)
    search = evolve(key, population, generations, factor, pixels, *image.shape[:2])
    shown, known, individual = [], set(), next(search)
    for count in itertools.count(1):
        candidate = seen(image, individual)
        drawn = tuple(drawn_numbers(individual[0], *image.shape[:2]))
        if pixels > 1 or drawn not in known:
            shown.append(candidate)
        known.add(drawn)
        probabilities = predict(candidate[None])[0]
        answer = int(probabilities.argmax())
        if answer != label if target is None else answer == target:
            return shown, count, True
        try:
            individual = search.send(probabilities[label] if target is None else -probabilities[target])
        except StopIteration:
            return shown, count, False
    raise AssertionError("unreachable")


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("pixels", "factor"), [(1, 0.5), (3, 0.5), (1, 1.25)])
def test_shows_the_references_candidates_one_by_one(make_classifier, make_crops, record, pixels, factor, targeted):
    images, classifier = make_crops(8, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    outcomes = set()
    runners_up = classifier(images).argsort(axis=1)[:, -2].tolist()
    for image, label, runner_up in zip(images, labels.tolist(), runners_up, strict=True):
        target = runner_up if targeted else None
        settings = {**SIZE, "factor": factor, "pixels": pixels, "seed": 5}
        expected, count, success = reference(classifier, image, label, target, **settings)
        shown = record(classifier)
        found = attack(shown, image[None], [label], method="de", targets=target, batch_size=ONE_BY_ONE, **settings)
        assert found.success.tolist() == [success]
        assert found.queries.tolist() == [count]
        assert found.evaluated.tolist() == [len(expected)]
        second_look = expected[-1:] if success else []
        assert np.array_equal(shown.rows, np.stack([image, *expected, *second_look]))
        assert np.array_equal(found.images[0], expected[-1] if success else image)
        outcomes.add(success)
    assert outcomes == {True, False}  # or half of the claim was not tried


@pytest.mark.parametrize(
    ("pixels", "size"),
    [(2, SIZE), (1, {"population": 4, "generations": 35})],  # the latter: more generations than are drawn at once
)
def test_a_child_as_good_as_its_parent_takes_its_place(make_crops, never, record, pixels, size):
    image = make_crops(1, 6, 9)[0]  # all are equally good: each generation descends from the one before alone
    expected, *_ = reference(never, image, 0, None, seed=0, pixels=pixels, **size)
    shown = record(never)
    attack(shown, image[None], [0], method="de", pixels=pixels, batch_size=ONE_BY_ONE, **size)
    assert np.array_equal(shown.rows[1:], np.stack(expected))


@pytest.mark.parametrize("generations", [0, 1, 3])
def test_without_success_every_generation_is_counted(make_crops, never, generations):
    found = attack(never, make_crops(3, 4, 4), [0, 0, 0], method="de", population=6, generations=generations)
    assert found.queries.tolist() == [6 * (generations + 1)] * 3
    assert (found.evaluated <= found.queries).all()
    assert not found.exhausted.any()  # evolution has no set of candidates to exhaust


def test_the_published_size_is_the_default(make_crops, never):
    found = attack(never, make_crops(1, 3, 3), [0], method="de")
    assert found.queries.tolist() == [400 * 101]


def test_the_same_seed_repeats_the_search_and_another_makes_another(make_classifier, make_crops, record):
    images, classifier = make_crops(4, 7, 5), make_classifier(7, 5, seed=1)
    labels = classifier.labels(images)

    def shown_with(seed):
        shown = record(classifier)
        attack(shown, images, labels, method="de", seed=seed, batch_size=ONE_BY_ONE, **SIZE)
        return shown.rows[len(images) :]

    assert np.array_equal(shown_with(3), shown_with(3))
    first, other = shown_with(3), shown_with(4)
    shared = sum(np.array_equal(*pair) for pair in zip(first, other, strict=False))
    assert shared < 0.1 * min(len(first), len(other))


def test_the_seed_leaves_the_other_methods_as_they_are(make_classifier, make_crops, same_outcomes):
    images, classifier = make_crops(4, 7, 5), make_classifier(7, 5, seed=1)
    labels = classifier.labels(images)
    same_outcomes(*(attack(classifier, images, labels, method="corners", seed=seed) for seed in (0, 2**63 - 1)))


def test_members_that_wander_beyond_all_floats_are_drawn_inside_the_image(make_crops, never):
    """A classifier that tells no candidate from another takes every child, and differences grow without end."""
    settings = {"population": 40, "generations": 110, "factor": 2.0}
    found = attack(never, make_crops(1, 8, 8), [0], method="de", **settings)
    assert found.queries.tolist() == [40 * 111]
