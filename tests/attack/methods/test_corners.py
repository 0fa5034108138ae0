"""`corners`: the eight corners of each position's box, or the colors that are listed for it."""

import itertools

import numpy as np
import pytest

from pixelproof.attack import attack

ONE_BY_ONE = 1  # rows a batch: the classifier is then shown the candidates in their order, and nothing else


def corner_images(image, low, high):
    """Every candidate of an image in the order of the numbers: position * 8 + corner; red is the corner's high bit."""
    height, width, _ = image.shape
    low, high = np.broadcast_to(low, image.shape), np.broadcast_to(high, image.shape)
    changed = []
    for row, column in itertools.product(range(height), range(width)):
        for red, green, blue in itertools.product((0, 1), repeat=3):
            changed.append(image.copy())
            ends = low[row, column], high[row, column]
            changed[-1][row, column] = ends[red][0], ends[green][1], ends[blue][2]
    return np.stack(changed)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (6, 7)])  # the last has more candidates than the first page holds
def test_every_corner_of_every_position_is_shown_once_in_the_order_of_the_numbers(make_crops, never, record, size):
    image = make_crops(1, *size)[0]
    shown = record(never)
    found = attack(shown, image[None], [0], method="corners", batch_size=ONE_BY_ONE)
    assert np.array_equal(shown.rows[1:], corner_images(image, 0, 255))
    assert found.exhausted.tolist() == [True]
    assert found.queries.tolist() == found.evaluated.tolist() == [8 * size[0] * size[1]]
    assert not found.success.any()


@pytest.mark.parametrize("batch_size", [1, 7, 64, 512])
def test_the_whole_set_is_evaluated_in_batches_of_any_size(make_crops, never, batch_size):
    found = attack(never, make_crops(5, 6, 7), [0] * 5, method="corners", batch_size=batch_size)
    assert found.exhausted.all()
    assert found.queries.tolist() == found.evaluated.tolist() == [8 * 6 * 7] * 5


def test_a_box_may_differ_at_every_position_and_channel(make_crops, make_images, never, record):
    images, ends = make_crops(2, 3, 4), np.sort(make_images(4, 3, 4).reshape(2, 2, 3, 4, 3), axis=0)
    for image, low, high in zip(images, *ends, strict=True):
        shown = record(never)
        attack(shown, image[None], [0], low=low[None], high=high[None], batch_size=ONE_BY_ONE)
        assert np.array_equal(shown.rows[1:], corner_images(image, low, high))


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 255), (64, 64), ([10, 20, 30], [11, 255, 30]), (np.arange(4)[:, None], np.uint8(200))],
)
def test_a_box_may_be_anything_that_broadcasts(make_crops, never, record, low, high):
    image = make_crops(1, 3, 4)[0]
    shown = record(never)
    attack(shown, image[None], [0], low=low, high=high, batch_size=ONE_BY_ONE)
    assert np.array_equal(shown.rows[1:], corner_images(image, low, high))


def test_each_image_has_its_own_box(make_crops, make_classifier, same_outcomes):
    images, classifier = make_crops(4, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    low = np.arange(4)[:, None, None, None] * 10
    together = attack(classifier, images, labels, low=low, high=low + 150)
    for row in range(4):
        one = slice(row, row + 1)
        same_outcomes(together, attack(classifier, images[one], labels[one], low=row * 10, high=row * 10 + 150), one)


def own_order(seed):
    """An order that shuffles each image's candidates in a way of its own."""

    def order(images, labels, colors, targets):
        count = colors[0, ..., 0].size
        return np.stack([np.random.default_rng([seed, *image[0, 0]]).permutation(count) for image in images])

    return order


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("order", [None, own_order(0), own_order(1)])
@pytest.mark.parametrize("batch_size", [1, 64, 512])
def test_the_first_success_in_the_order_wins(make_crops, make_classifier, order, targeted, batch_size):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    labels, runners_up = classifier.labels(images), classifier(images).argsort(axis=1)[:, -2]
    targets = runners_up if targeted else None
    found = attack(classifier, images, labels, order=order, targets=targets, batch_size=batch_size)
    colors = np.zeros((1, 8, 7, 8, 3), np.uint8)
    for index, image in enumerate(images):
        ranking = np.arange(448) if order is None else order(image[None], None, colors, None)[0]
        changed = corner_images(image, 0, 255)[ranking]
        answers = classifier.labels(changed)
        wins = np.flatnonzero(answers == targets[index] if targeted else answers != labels[index])
        assert found.success[index] == bool(wins.size)
        assert found.queries[index] == (wins[0] + 1 if wins.size else 448)
        assert np.array_equal(found.images[index], changed[wins[0]] if wins.size else image)
        assert found.exhausted[index] == (not wins.size)
    assert 0 < found.success.sum() < 12


def test_listed_colors_are_tried_in_their_order_at_each_position(make_crops, make_images, never, record):
    image, listed = make_crops(1, 3, 4), make_images(12, 1, 5).reshape(1, 3, 4, 5, 3)
    shown = record(never)
    found = attack(shown, image, [0], colors=listed, batch_size=ONE_BY_ONE)
    expected = np.repeat(image, 3 * 4 * 5, axis=0)
    for number, (row, column, color) in enumerate(itertools.product(range(3), range(4), range(5))):
        expected[number, row, column] = listed[0, row, column, color]
    assert np.array_equal(shown.rows[1:], expected)
    assert found.exhausted.tolist() == [True]
    assert found.queries.tolist() == [60]


@pytest.mark.parametrize("pixels", [1, 2])
def test_colors_may_be_a_function_of_some_of_the_images(make_crops, make_classifier, same_outcomes, pixels):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    labels[3] = (labels[3] + 1) % 4  # wrong from the start: its colors are not asked for

    def mirrored(some):
        return np.stack([255 - some, some[:, ::-1], some // 2], axis=3)

    given = attack(classifier, images, labels, colors=mirrored(images), pixels=pixels)
    assert given.success.any()
    same_outcomes(given, attack(classifier, images, labels, colors=mirrored, pixels=pixels))


def test_what_a_purifier_lets_pass_can_be_listed(make_network, lenet_images, check_successes):
    torch = pytest.importorskip("torch")
    from pixelproof.models import build_purifier

    median = build_purifier("median")

    def passes(images):
        return median.accepted_colors(torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()[:, :, :, [0, 7]]

    images, labels = (each[:4] for each in lenet_images)
    pipeline = make_network(median)
    found = attack(pipeline, images, labels, colors=passes, batch_size=64)
    check_successes(found, images, labels, pipeline, 64)
    listed = passes(images)
    for index in np.flatnonzero(found.success):
        (row, column), color = found.pixels[index, 0], found.colors[index, 0]
        assert color.tolist() in listed[index, row, column].tolist()
    assert found.queries[found.exhausted].tolist() == [2 * 32 * 32] * int(found.exhausted.sum())
