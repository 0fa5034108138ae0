"""Many searches in one batch: results that depend on nothing but the image, and successes that hold."""

import numpy as np
import pytest

from pixelproof.attack import attack, gradient_ranking, sweep_ranking
from pixelproof.attack.search.protocol import Candidates
from pixelproof.attack.search.scheduler import FitnessCache
from pixelproof.models.data import sample

METHODS = {
    "corners": {},
    "levels": {"levels": 3, "low": 10, "high": 250},
    "de": {"population": 30, "generations": 8},
    "strongest": {"levels": 2, "seeds": 2, "population": 20, "generations": 2},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("pixels", "targeted"), [(1, False), (2, False), (1, True)])
class TestIndependence:
    def found(self, classifier, images, labels, method, pixels, targeted, rows=slice(None), batch_size=64):
        targets = classifier(images).argsort(axis=1)[:, -2] if targeted else None
        if targeted:
            targets = np.where(targets == labels, (labels + 1) % 4, targets)[rows]
        parameters = METHODS[method] if method == "de" else {**METHODS[method], "order": sweep_ranking(classifier)}
        settings = {"method": method, "pixels": pixels, "seed": 3, "targets": targets, "batch_size": batch_size}
        return attack(classifier, images[rows], labels[rows], **settings, **parameters)

    @pytest.mark.parametrize("batch_size", [1, 7, 200, 512])
    def test_batch_size_changes_no_result(self, victims, same_outcomes, method, pixels, targeted, batch_size):
        expected = self.found(*victims, method, pixels, targeted)
        assert 0 < expected.success.sum() < expected.attacked.sum() < 50
        same_outcomes(expected, self.found(*victims, method, pixels, targeted, batch_size=batch_size))

    def test_order_of_the_images_changes_no_result(self, victims, same_outcomes, method, pixels, targeted):
        expected = self.found(*victims, method, pixels, targeted)
        shuffled = np.random.default_rng(0).permutation(50)
        same_outcomes(expected, self.found(*victims, method, pixels, targeted, shuffled), shuffled)

    @pytest.mark.parametrize("rows", [slice(20, 21), slice(3, 50, 7)])
    def test_the_other_images_change_no_result(self, victims, same_outcomes, method, pixels, targeted, rows):
        expected = self.found(*victims, method, pixels, targeted)
        same_outcomes(expected, self.found(*victims, method, pixels, targeted, rows), rows)


@pytest.mark.parametrize("method", ["corners", "de"])
def test_lenet_in_a_batch_of_fixed_shape_gives_the_same_results_in_any_company(
    lenet, lenet_images, same_outcomes, method
):
    images, labels = (each[:6] for each in lenet_images)

    def found(rows):
        if method == "de":
            parameters = {"population": 40, "generations": 4}
        else:
            parameters = {"order": gradient_ranking(lenet.module), "colors": 255 - images[rows][:, :, :, None]}
        return attack(lenet, images[rows], labels[rows], method=method, batch_size=64, **parameters)

    together = found(slice(None))
    assert 0 < together.success.sum() < 6
    for rows in ([5, 2, 0, 4, 1, 3], [1], [4, 2]):
        same_outcomes(together, found(rows), rows)


@pytest.mark.parametrize("method", METHODS)
def test_the_classifier_sees_whole_batches_alone(victims, method):
    classifier, images, labels = victims
    classifier.shapes.clear()
    attack(classifier, images, labels, method=method, batch_size=13, **METHODS[method])
    assert classifier.shapes == {(13, 8, 7, 3)}


def test_work_is_counted_as_done_and_little_of_it_is_wasted(victims):
    classifier, images, labels = victims
    for batch_size in (1, 16, 512):
        found = attack(classifier, images, labels, batch_size=batch_size)
        fell, withstood = found.success, found.attacked & ~found.success
        assert np.array_equal(found.evaluated[withstood], found.queries[withstood])
        assert (found.evaluated >= found.queries).all()
        assert (found.evaluated[fell] < found.queries[fell] + batch_size).all()
        assert (found.evaluated[~found.attacked] == 0).all()


@pytest.mark.parametrize("method", ["corners", "levels", "de"])
def test_images_that_withstand_end_one_after_the_other(make_crops, never, method):
    """The first of ten ends long before the last: what was done is not all lost when it is broken off."""
    done, ended = [], []
    attack(
        lambda images: done.append(len(images)) or never(images),
        make_crops(10, 8, 8),
        [0] * 10,
        method=method,
        batch_size=64,
        on_finished=lambda outcome: ended.append((len(done), outcome.index)),
        **({"population": 40, "generations": 50} if method == "de" else {}),
    )
    assert ended[0][1] == 0
    assert ended[0][0] < 0.5 * ended[-1][0]


def test_a_success_is_shown_twice(victims, record):
    classifier, images, labels = victims
    for index in range(1, 9):
        shown = record(classifier)
        found = attack(shown, images[index : index + 1], labels[index : index + 1], order=None, batch_size=1)
        fell = bool(found.success[0])
        looks = (shown.rows == found.images[0]).all(axis=(1, 2, 3))
        assert looks[-2:].tolist() == ([True, True] if fell else [False, False])
        assert len(shown.rows) == 1 + found.queries[0] + fell


class OnceOnly:
    """Class 1 for a black image with one white pixel: at `fickle` positions the first time, at `firm` ones always."""

    def __init__(self, fickle, firm):
        self.fickle, self.firm, self.met = fickle, firm, set()

    def __call__(self, images):
        answers = np.tile(np.array([0.8, 0.2], np.float32), (len(images), 1))
        for row, position in zip(*np.nonzero(images.reshape(len(images), -1, 3).all(axis=2)), strict=True):
            if position in self.firm or (position in self.fickle and position not in self.met):
                answers[row] = 0.1, 0.9
                self.met.add(position)
        return answers


@pytest.mark.parametrize("batch_size", [1, 5, 64, 512])
@pytest.mark.parametrize("fickle", [{0}, {3, 4, 5}, {41}, {31}])  # the first, a run, the last, the end of a page of 256
def test_a_success_that_does_not_hold_is_passed_over(fickle, batch_size):
    images = np.zeros((1, 6, 7, 3), np.uint8)
    found = attack(OnceOnly(fickle, set()), images, [0], batch_size=batch_size)
    assert found.success.tolist() == [False]
    assert found.queries.tolist() == [6 * 7 * 8]
    assert np.array_equal(found.images, images)

    found = attack(OnceOnly(fickle, {37}), images, [0], batch_size=batch_size)
    assert found.success.tolist() == [True]
    assert found.pixels.tolist() == [[[5, 2]]]
    assert found.queries.tolist() == [37 * 8 + 8]


def test_evolution_goes_on_behind_a_success_that_does_not_hold(make_crops, record):
    firsts = set()

    def wrong_once(images):
        answers = np.tile(np.array([0.8, 0.2], np.float32), (len(images), 1))
        for row, image in enumerate(images):
            if image.tobytes() not in firsts:
                firsts.add(image.tobytes())
                answers[row] = 0.1, 0.9
        return answers

    images = make_crops(2, 5, 5)
    firsts.update(image.tobytes() for image in images)
    found = attack(wrong_once, images, [0, 0], method="de", population=8, generations=3, batch_size=6)
    assert not found.success.any()
    assert found.attacked.all()
    assert found.queries.tolist() == [8 * 4] * 2
    assert len(firsts) > 30  # nearly every candidate was wrong when it was first shown


def keys_of(candidates):
    return [
        (int(position), *color.tolist())
        for position, color in zip(candidates.positions[:, 0], candidates.colors[:, 0], strict=True)
    ]


@pytest.mark.parametrize(("places", "levels"), [(1, 2), (3, 5), (1024, 256)])
def test_each_candidate_is_asked_for_once_and_recalled_ever_after(places, levels):
    draw, memory, known = np.random.default_rng(places), FitnessCache(), {}
    for _ in range(30):
        colors = draw.integers(0, levels, (40, 1, 3)) * (255 // (levels - 1))  # up to both ends
        candidates = Candidates(draw.integers(0, places, (40, 1)), colors.astype(np.uint8))
        keys = keys_of(candidates)
        unseen = memory.unseen(candidates)
        assert unseen.tolist() == [rank for rank, key in enumerate(keys) if key not in known and key not in keys[:rank]]
        fitness = draw.random(len(unseen), np.float32)
        known.update(zip([keys[rank] for rank in unseen], fitness.tolist(), strict=True))
        assert memory.recall(unseen, fitness).tolist() == [known[key] for key in keys]


def test_an_evolution_that_has_drawn_together_is_evaluated_for_a_fraction_of_its_candidates(make_network):
    data, network = sample(), make_network()
    settings = {"population": 40, "generations": 100}
    found = attack(network, data.images[:24], data.labels[:24], method="de", batch_size=128, **settings)
    withstood = found.attacked & ~found.success
    assert withstood.sum() > 5
    assert (found.queries[withstood] == 40 * 101).all()
    assert found.evaluated[withstood].sum() < 0.8 * found.queries[withstood].sum()
