"""`corners` and `levels`: the colors of a box or of a list at each position, in the order of a ranking."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest

from pixelproof.attack import attack

ONE_BY_ONE = 1  # rows a batch: the classifier is then shown the candidates in their order, and nothing else


def grid_images(image, colors_at):
    """Every candidate of an image by its number; `colors_at(row, column)`: the colors that the position is to take."""
    height, width, _ = image.shape
    changed = []
    for row, column in itertools.product(range(height), range(width)):
        for color in colors_at(row, column):
            changed.append(image.copy())
            changed[-1][row, column] = color
    return np.stack(changed)


def corner_images(image, low, high):
    """The same for the corners of a box; red is the corner's high bit."""
    ends = np.stack([np.broadcast_to(end, image.shape) for end in (low, high)], axis=-1)
    return grid_images(image, lambda row, column: itertools.product(*ends[row, column]))


@pytest.mark.parametrize(
    ("box", "levels", "values"),
    [
        ({"low": 0, "high": 255}, 2, [0, 255]),
        ({"low": 0, "high": 255}, 4, [0, 85, 170, 255]),
        ({}, None, [0, 85, 170, 255]),  # the defaults
        ({"low": 0, "high": 255}, 3, [0, 128, 255]),  # 127.5 is rounded up
        ({"low": 10, "high": 13}, 3, [10, 12, 13]),
        ({"low": 7, "high": 8}, 4, [7, 7, 8, 8]),  # a box too small for four different values
        ({"low": 9, "high": 9}, 2, [9, 9]),
    ],
)
def test_levels_show_every_color_of_the_grid_once_by_its_number(make_crops, never, record, box, levels, values):
    image, shown = make_crops(1, 2, 3)[0], record(never)
    options = box if levels is None else {**box, "levels": levels}
    found = attack(shown, image[None], [0], method="levels", batch_size=ONE_BY_ONE, **options)
    expected = grid_images(image, lambda row, column: itertools.product(values, repeat=3))
    assert np.array_equal(shown.rows[1:], expected)
    assert found.exhausted.tolist() == [True]
    assert found.queries.tolist() == found.evaluated.tolist() == [len(expected)]


@pytest.mark.parametrize("method", ["corners", "levels"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (6, 7)])  # the last has more candidates than the first page holds
def test_every_corner_of_every_position_is_shown_once_by_its_number(make_crops, never, record, size, method):
    image, shown = make_crops(1, *size)[0], record(never)
    options = {"levels": 2} if method == "levels" else {}
    found = attack(shown, image[None], [0], method=method, batch_size=ONE_BY_ONE, **options)
    assert np.array_equal(shown.rows[1:], corner_images(image, 0, 255))
    assert found.exhausted.tolist() == [True]
    assert found.queries.tolist() == found.evaluated.tolist() == [8 * size[0] * size[1]]
    assert not found.success.any()


@pytest.mark.parametrize("batch_size", [1, 7, 64, 512])
def test_the_whole_set_is_evaluated_in_batches_of_any_size(make_crops, never, batch_size):
    found = attack(never, make_crops(5, 6, 7), [0] * 5, method="corners", batch_size=batch_size)
    assert found.exhausted.all()
    assert found.queries.tolist() == found.evaluated.tolist() == [8 * 6 * 7] * 5


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (64, 64),
        ([10, 20, 30], [11, 255, 30]),
        (np.arange(4)[:, None], np.uint8(200)),
        tuple(np.sort(np.random.default_rng(0).integers(0, 256, (2, 1, 3, 4, 3), np.uint8), axis=0)),
    ],
)
def test_a_box_may_be_anything_that_broadcasts(make_crops, never, record, low, high):
    image, shown = make_crops(1, 3, 4)[0], record(never)
    attack(shown, image[None], [0], low=low, high=high, batch_size=ONE_BY_ONE)
    assert np.array_equal(
        shown.rows[1:], corner_images(image, *(np.broadcast_to(end, (1, 3, 4, 3))[0] for end in (low, high)))
    )


def test_each_image_has_its_own_box(make_crops, make_classifier, same_outcomes):
    images, classifier = make_crops(4, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    low = np.arange(4)[:, None, None, None] * 10
    together = attack(classifier, images, labels, low=low, high=low + 150)
    for row in range(4):
        one = slice(row, row + 1)
        same_outcomes(together, attack(classifier, images[one], labels[one], low=row * 10, high=row * 10 + 150), one)


def test_the_box_of_levels_may_differ_at_every_position_and_channel(make_crops, make_images, never, record):
    image, (low, high) = make_crops(1, 2, 3), np.sort(make_images(2, 2, 3), axis=0)
    shown = record(never)
    attack(shown, image, [0], method="levels", levels=5, low=low[None], high=high[None], batch_size=ONE_BY_ONE)
    drawn = shown.rows[1:].reshape(2, 3, 5, 5, 5, 2, 3, 3)
    for row, column in itertools.product(range(2), range(3)):
        colors = drawn[row, column, :, :, :, row, column]
        for channel in range(3):
            along = np.moveaxis(colors, channel, 0)[..., channel]
            assert (along == along[:, :1, :1]).all()  # a channel's value depends on its own index alone
            exact = np.linspace(low[row, column, channel], high[row, column, channel], 5)
            assert np.abs(along[:, 0, 0] - exact).max() <= 0.5
            assert along[[0, -1], 0, 0].tolist() == [low[row, column, channel], high[row, column, channel]]


def own_ranking(seed):
    """A ranking that shuffles each image's candidates in a way of its own."""

    def order(images, labels, colors, targets):
        count = colors[0, ..., 0].size
        return np.stack([np.random.default_rng([seed, *image[0, 0]]).permutation(count) for image in images])

    return order


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("order", [None, own_ranking(0), own_ranking(1)])
@pytest.mark.parametrize("batch_size", [1, 64, 512])
def test_the_first_success_in_the_ranking_wins(make_crops, make_classifier, order, targeted, batch_size):
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
    expected = grid_images(image[0], lambda row, column: listed[0, row, column])
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


def test_what_a_purifier_accepts_can_be_listed(make_network, lenet_images, check_successes):
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


def test_more_levels_find_what_lies_between_the_corners(make_crops, never):
    def only_half_gray(images):
        answers = never(images)
        answers[(images == 128).all(axis=-1).any(axis=(1, 2))] = [0.1, 0.2, 0.7]
        return answers

    images = make_crops(2, 4, 5)
    assert not attack(only_half_gray, images, [0, 0], method="corners").success.any()
    found = attack(only_half_gray, images, [0, 0], method="levels", levels=3)
    assert found.colors.tolist() == [[[128, 128, 128]]] * 2
    assert found.pixels.tolist() == [[[0, 0]]] * 2
    assert found.queries.tolist() == [1 + 13] * 2  # (1, 1, 1) of 3 x 3 x 3


@dataclass
class ReversedRanking:
    """The last candidate first; keeps what it was asked."""

    asked: list[tuple] = field(default_factory=list)

    def __call__(self, images, labels, colors, targets):
        self.asked.append((images, labels, colors, targets))
        count = colors[0, ..., 0].size
        return np.tile(np.arange(count)[::-1], (len(images), 1))


@pytest.fixture
def many(make_crops, make_classifier):
    """150 tiny images, every fifth one wrong from the start."""
    images, classifier = make_crops(150, 2, 3), make_classifier(2, 3)
    labels = classifier.labels(images)
    labels[::5] = (labels[::5] + 1) % 4
    return classifier, images, labels


@pytest.mark.parametrize("method", ["corners", "levels"])
@pytest.mark.parametrize("targeted", [False, True])
def test_a_ranking_is_given_images_labels_colors_and_targets_of_those_attacked(many, method, targeted):
    classifier, images, labels = many
    targets = (labels + 2) % 4 if targeted else None
    order, attacked = ReversedRanking(), np.arange(150) % 5 != 0
    found = attack(classifier, images, labels, method=method, order=order, targets=targets)
    assert np.array_equal(found.attacked, attacked)
    assert np.array_equal(np.concatenate([asked[0] for asked in order.asked]), images[attacked])
    assert np.array_equal(np.concatenate([asked[1] for asked in order.asked]), labels[attacked])
    for _, _, colors, asked_targets in order.asked:
        assert colors.shape[1:] == (2, 3, 8 if method == "corners" else 64, 3)
        assert (asked_targets is not None) == targeted
    if targeted:
        assert np.array_equal(np.concatenate([asked[3] for asked in order.asked]), targets[attacked])


def test_a_ranking_is_asked_of_a_few_images_at_a_time_when_they_are_about_to_be_searched(many):
    classifier, images, labels = many
    order, finished_when_asked, finished = ReversedRanking(), [], []

    def noting(*arguments):
        finished_when_asked.append(len(finished))
        return order(*arguments)

    attack(classifier, images, labels, order=noting, on_finished=finished.append, batch_size=8)
    assert max(len(asked[0]) for asked in order.asked) < 120
    assert finished_when_asked == sorted(finished_when_asked)
    assert finished_when_asked[0] == 30  # those not attacked
    assert finished_when_asked[1] > 30


def test_a_listed_color_of_an_image_that_is_not_attacked_is_asked_for_at_most_once(many):
    classifier, images, labels = many
    asked = []

    def inverted(some):
        asked.extend(image.tobytes() for image in some)
        return (255 - some)[:, :, :, None]

    attack(classifier, images, labels, colors=inverted)
    needed = [image.tobytes() for image in images[np.arange(150) % 5 != 0]]
    assert asked == [images[0].tobytes(), *needed]  # the first image is looked at before anything else: its shape


def test_the_reversed_ranking_ends_with_what_the_natural_one_begins_with(many):
    classifier, images, labels = many
    backwards = attack(classifier, images, labels, order=ReversedRanking())
    forwards = attack(classifier, images, labels)
    assert np.array_equal(backwards.success, forwards.success)  # the set is the same
    both = forwards.success
    assert (backwards.queries[both] != forwards.queries[both]).any()
    last = 48 + 1 - forwards.queries[both]  # the first success of one is the last of the other
    assert (backwards.queries[both] <= last).all()
