"""Several pixels: what the beam search is sure to try, what it finds, and what it may cost."""

import itertools

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.methods.beam import several_pixels, several_pixels_budget
from pixelproof.attack.methods.ranking import spread


def pages_proposed(colors, ranking, pixels, fitness_of):
    """All that the search proposes, page by page."""
    search = several_pixels(colors, ranking, pixels)
    pages = [next(search)]
    while True:
        try:
            pages.append(search.send(fitness_of(pages[-1]).astype(np.float32)))
        except StopIteration:
            return pages


def everything_proposed(colors, pixels, fitness_of):
    """The same in one piece: positions `(m, k)` and colors `(m, k, 3)`."""
    pages = pages_proposed(colors, spread(colors[..., 0].size), pixels, fitness_of)
    return tuple(np.concatenate(parts) for parts in zip(*pages, strict=True))


def members(candidates):
    """Of each team, the numbers of its candidates where every position has one color."""
    return [frozenset(row) for row in candidates.positions.tolist()]


def alike(candidates):
    return np.zeros(len(candidates.positions))


def shuffled(candidates):
    return np.random.default_rng(candidates.positions.sum()).random(len(candidates.positions))


def improving():
    """Each proposal better than all before: refinement never stops for want of a gain."""
    counter = itertools.count(0, -1)
    return lambda candidates: np.array([next(counter) for _ in candidates.positions])


@pytest.mark.parametrize("pixels", [2, 3, 5])
@pytest.mark.parametrize("size", [(2, 2), (5, 7), (16, 16)])
@pytest.mark.parametrize("fitness_of", [alike, shuffled, improving()])
def test_the_budget_is_kept(make_images, pixels, size, fitness_of):
    colors = make_images(*size, 8)
    positions, shades = everything_proposed(colors, pixels, fitness_of)
    assert positions.shape == (len(positions), pixels)
    assert shades.shape == (len(positions), pixels, 3)
    assert len(positions) <= several_pixels_budget(colors[..., 0].size, pixels)


@pytest.mark.parametrize("pixels", [2, 3])
def test_without_success_every_candidate_is_tried_alone_and_in_order(make_images, pixels):
    colors = make_images(5, 7, 8)
    positions, shades = everything_proposed(colors, pixels, shuffled)
    alone = (positions == positions[:, :1]).all(axis=1) & (shades == shades[:, :1]).all(axis=(1, 2))
    tried = np.column_stack([positions[alone, 0], shades[alone, 0]]).tolist()
    flat = colors.reshape(-1, 3)
    ranked = [[number // 8, *flat[number].tolist()] for number in spread(280).tolist()]
    first_met = list(dict.fromkeys(map(tuple, tried)))
    assert first_met == list(dict.fromkeys(map(tuple, ranked)))


@pytest.mark.parametrize("pixels", [2, 3])
def test_what_is_proposed_has_the_listed_colors(make_images, pixels):
    colors = make_images(4, 5, 3)
    positions, shades = everything_proposed(colors, pixels, shuffled)
    listed = colors.reshape(20, 3, 3)
    assert (listed[positions] == shades[:, :, None]).all(axis=-1).any(axis=-1).all()


def test_teams_are_refined_by_changing_one_pixel_at_a_time(make_images):
    gains = {frozenset({0}): 1, frozenset({0, 1}): 3, frozenset({1, 2}): 4, frozenset({2, 3}): 5}

    def fitness_of(candidates):  # the best single pixel leads to {0, 1}; only from there are the others reached
        return np.array([-gains.get(team, 0) for team in members(candidates)])

    pages = pages_proposed(make_images(16, 32, 1), np.arange(512, dtype=np.int32), 2, fitness_of)
    second_rung = next(index for index, page in enumerate(pages) if len(page.positions) == 512 // 8 - 512 // 32)
    assert frozenset({2, 3}) in {team for page in pages[1:second_rung] for team in members(page)}


def test_no_two_teams_that_are_kept_have_the_same_members(make_images):
    worth = np.random.default_rng(0).random(2048)

    def fitness_of(candidates):
        return np.array([-sum(worth[list(team)]) for team in members(candidates)])

    pages = pages_proposed(make_images(32, 64, 1), np.arange(2048, dtype=np.int32), 3, fitness_of)
    widest = [page for page in pages if len(page.positions) == 8 * 64][-1]  # eight pairs, each with every third pixel
    pairs = [frozenset(team) for team in widest.positions[::64, :2].tolist()]
    assert len(set(pairs)) == 8


@pytest.mark.parametrize("targeted", [False, True])
def test_what_falls_to_fewer_pixels_falls_to_more(make_crops, make_classifier, check_successes, targeted):
    images, classifier = make_crops(30, 8, 7), make_classifier(8, 7, seed=0)
    labels = classifier.labels(images)
    targets = classifier(images).argsort(axis=1)[:, -2] if targeted else None
    fallen = []
    for pixels in (1, 2, 3):
        found = attack(classifier, images, labels, pixels=pixels, targets=targets)
        check_successes(found, images, labels, classifier, 64, targets)
        fallen.append(found.success)
        assert not found.exhausted.any() or pixels == 1  # teams are too many for all to be tried
    assert not (fallen[0] & ~fallen[1]).any()
    assert not (fallen[0] & ~fallen[2]).any()
    assert fallen[0].sum() < fallen[1].sum() <= fallen[2].sum()


@pytest.mark.parametrize("pixels", [2, 3])
def test_finds_the_pixels_whose_changes_add_up_on_a_linear_classifier(make_crops, make_classifier, pixels):
    images, classifier = make_crops(40, 8, 7), make_classifier(8, 7, classes=2, seed=0)
    labels = classifier.labels(images)
    found = attack(classifier, images, labels, pixels=pixels)
    assert 0 < found.success.sum() < 40
    scores = classifier.scores(images)
    slope = classifier.weights[..., 0] - classifier.weights[..., 1]
    for index, image in enumerate(images):
        towards = slope if labels[index] == 1 else -slope  # to raise the other class
        best = np.where(towards > 0, 255 - image.astype(int), -image.astype(int)) * towards
        gains = np.sort(best.sum(axis=-1), axis=None)[::-1][:pixels].sum()
        needed = abs(scores[index, 0] - scores[index, 1])
        assert found.success[index] == (gains > needed or (gains == needed and labels[index] == 1))


def test_as_many_pixels_as_the_image_has_may_change(make_crops, make_classifier, check_successes):
    images, classifier = make_crops(10, 2, 2), make_classifier(2, 2)
    labels = classifier.labels(images)
    found = attack(classifier, images, labels, pixels=4)
    check_successes(found, images, labels, classifier, 64)
    assert found.success.any()
    assert found.pixels.shape == (10, 4, 2)
