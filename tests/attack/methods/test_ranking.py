"""Rankings, and the sweep's: a slow reference, what it costs, and that it is worth having."""

import numpy as np
import pytest

from pixelproof.attack import attack, sweep_ranking
from pixelproof.attack.methods.ranking import checked_ranking, rank, spread
from pixelproof.errors import PixelproofError, UsageError


def test_the_smallest_score_is_first_and_equal_ones_come_by_number():
    scores = np.array([[3, 1, 2, 1], [0, 0, 0, -1]], np.float32)
    assert rank(scores).tolist() == [[1, 3, 2, 0], [3, 0, 1, 2]]
    assert rank(scores).dtype == np.int32


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 96, 448, 1000, 8192, 65_536])
def test_a_spread_ranking_has_each_candidate_once(count):
    assert np.array_equal(np.sort(spread(count)), np.arange(count))


@pytest.mark.parametrize("share", [1 / 64, 1 / 32, 1 / 8])
def test_every_beginning_of_a_spread_ranking_leaves_no_large_gap(share):
    beginning = np.sort(spread(8192)[: int(share * 8192)])
    gaps = np.diff(beginning, append=beginning[0] + 8192)
    assert gaps.max() <= 3 / share  # three times what even steps would leave


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_a_permutation_in_any_integers_is_a_ranking(dtype):
    given = np.array([[2, 0, 1], [0, 1, 2]], dtype)
    checked = checked_ranking(given, (2, 3))
    assert checked.dtype == np.int32
    assert np.array_equal(checked, given)
    assert np.array_equal(checked_ranking(given.tolist(), (2, 3)), given)


@pytest.mark.parametrize(
    ("ranking", "words"),
    [
        ([[0, 1, 1], [0, 1, 2]], "each of the 3 candidates once"),
        ([[0, 1, 3], [0, 1, 2]], "permutation of 0 to 2"),
        ([[0, 1, -1], [0, 1, 2]], "permutation of 0 to 2"),
        ([[0, 1, 2]], r"int64 of shape \(1, 3\).*\(2, 3\)"),
        ([[0, 1], [0, 1]], r"int64 of shape \(2, 2\).*\(2, 3\)"),
        (np.zeros((2, 3), np.float32), "float32.*expected integers"),
        (None, r"object of shape \(\).*expected integers"),
        ([[0, 1, 2], [0, 1]], r"list of parts that differ in shape.*\(2, 3\)"),
    ],
)
def test_anything_else_is_refused(ranking, words):
    with pytest.raises(UsageError, match=words) as refusal:
        checked_ranking(ranking, (2, 3))
    assert "order" in str(refusal.value)
    assert "Next: " in str(refusal.value)


def nearest_probed(place, length, stride):
    """The middles of each stretch of `stride` are probed; of equally near ones the lower."""
    return min(range(min(stride, length) // 2, length, stride), key=lambda probed: abs(probed - place))


def share(probabilities, label, target):
    """How far off the goal an answer is: the smaller, the nearer."""
    judged = label if target is None else target
    other = max(value for index, value in enumerate(probabilities) if index != judged)
    wanted = other if target is None else probabilities[target]
    unwanted = probabilities[label] if target is None else other
    return -(wanted / (wanted + unwanted))


def slow_scores(predict, image, label, target, colors, stride):
    """Each candidate's score, from the nearest probed position, between its first and its last color."""
    height, width, each, _ = colors.shape
    scores = np.empty((height, width, each), np.float32)
    for row in range(height):
        for column in range(width):
            at = nearest_probed(row, height, stride), nearest_probed(column, width, stride)
            ends = []
            for color in (colors[at][0], colors[at][-1]):
                changed = image.copy()
                changed[at] = color
                ends.append(share(predict(changed[None])[0], label, target))
            first, last = colors[row, column, [0, -1]].astype(np.float32)
            for number, color in enumerate(colors[row, column].astype(np.float32)):
                place = ((color - first) * (last - first)).sum() / max(((last - first) ** 2).sum(), 1)
                scores[row, column, number] = ends[0] + (ends[1] - ends[0]) * place
    return scores.reshape(-1)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("stride", "each"), [(1, 1), (2, 2), (3, 8), (4, 5), (100, 3)])
def test_ranks_like_the_slow_reference(make_crops, make_classifier, make_images, stride, each, targeted):
    images, classifier = make_crops(3, 8, 7), make_classifier(8, 7, seed=5)
    labels, colors = classifier.labels(images), make_images(3 * 8, 7, each).reshape(3, 8, 7, each, 3)
    targets = (labels + 1) % 4 if targeted else None
    ranking = sweep_ranking(classifier, stride=stride, batch_size=10)(images, labels, colors, targets)
    assert np.array_equal(np.sort(ranking, axis=1), np.tile(np.arange(8 * 7 * each), (3, 1)))
    for index, image in enumerate(images):
        target = targets[index] if targeted else None
        scores = slow_scores(classifier, image, labels[index], target, colors[index], stride)
        ranked = scores[ranking[index]]
        assert (np.diff(ranked) >= -1e-6).all()  # rounding may swap neighbors, nothing more
        assert np.ptp(scores) > 1e-3 or stride == 100  # one probed position may find both its colors alike


def test_every_position_probed_puts_the_best_position_first(make_crops, make_classifier):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, classes=2, seed=5)
    labels, order = classifier.labels(images), sweep_ranking(classifier, stride=1)
    white = np.full((12, 8, 7, 1, 3), 255, np.uint8)
    led = attack(classifier, images, labels, colors=white, order=order)
    assert led.success.any()
    assert (led.queries[led.success] == 1).all()


@pytest.mark.parametrize(
    ("size", "stride", "queries"),
    [((32, 32), 4, 128), ((8, 7), 4, 2 * 2 * 2), ((8, 7), 3, 3 * 2 * 2), ((8, 7), 1, 112), ((8, 7), 50, 2)],
)
def test_what_it_asks_is_foretold_and_counted(make_crops, never, record, size, stride, queries):
    images, shown = make_crops(3, *size), record(never)
    order = sweep_ranking(shown, stride=stride, batch_size=5)
    assert order.queries_per_image(*size) == queries
    assert order.asked == 0
    colors = np.broadcast_to(np.array([[0] * 3, [255] * 3], np.uint8), (3, *size, 2, 3))
    order(images, np.zeros(3, np.int64), colors, None)
    assert order.asked == 3 * queries
    assert {batch.shape for batch in shown.batches} == {(5, *size, 3)}
    assert len(shown.batches) == -(-3 * queries // 5)
    order(images[:1], np.zeros(1, np.int64), colors[:1], None)
    assert order.asked == 4 * queries


def test_an_attack_counts_its_own_queries_alone_and_asks_for_the_attacked_images_alone(make_crops, never):
    order = sweep_ranking(never)
    found = attack(never, make_crops(4, 8, 7), [0, 1, 0, 0], order=order)
    assert found.queries.tolist() == [448, 0, 448, 448]
    assert order.asked == 3 * order.queries_per_image(8, 7)


def test_lenet_falls_in_fewer_queries_those_of_the_sweep_included(lenet, lenet_images, check_successes):
    images, labels = (each[:10] for each in lenet_images)
    colors = np.broadcast_to(np.array([[0] * 3, [255] * 3], np.uint8), (10, 32, 32, 2, 3))
    order = sweep_ranking(lenet, batch_size=64)
    led = attack(lenet, images, labels, order=order, colors=colors, batch_size=64)
    check_successes(led, images, labels, lenet, 64)
    fell = led.success
    blind = attack(lenet, images[fell], labels[fell], colors=colors[fell], batch_size=64)
    assert blind.success.all()
    cost = led.queries[fell] + order.queries_per_image(32, 32)
    assert 2 * np.median(cost) < np.median(blind.queries)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"stride": 0}, "stride is 0, expected 1 to"),
        ({"stride": 2.5}, r"stride is 2\.5, expected an integer"),
        ({"batch_size": 0}, "batch_size is 0, expected 1 to"),
    ],
)
def test_an_unfit_argument_is_refused(never, arguments, words):
    with pytest.raises(UsageError, match=f"{words}.*Next: "):
        sweep_ranking(never, **arguments)


def test_nan_is_refused(make_crops):
    def broken(images):
        return np.full((len(images), 3), np.nan, np.float32)

    colors = np.zeros((1, 3, 3, 2, 3), np.uint8)
    with pytest.raises(PixelproofError, match=r"NaN in row 0 of 7.*Next: "):
        sweep_ranking(broken, batch_size=7)(make_crops(1, 3, 3), np.zeros(1, np.int64), colors, None)
