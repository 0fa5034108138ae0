"""`attack` from end to end: honest successes, images left alone, and reports on the way."""

import itertools

import numpy as np
import pytest

from pixelproof.attack import DifferentialEvolution, Levels, attack, gradient_ranking, sweep_ranking

BATCH = 64
TWO_CORNERS = np.array([[0] * 3, [255] * 3], np.uint8)


def lenet_parameters(lenet, images, method):
    """Small candidate sets; `levels` has no smaller one than the corners."""
    if method == "de":
        return {"population": 40, "generations": 8}
    if method == "levels":
        return {"order": gradient_ranking(lenet.module), "levels": 2}
    colors = np.broadcast_to(TWO_CORNERS, (*images.shape[:3], 2, 3))
    return {"order": gradient_ranking(lenet.module), "colors": colors}


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("method", "pixels"),
    [("corners", 1), ("corners", 3), ("corners", 5), ("levels", 1), ("de", 1), ("de", 3), ("de", 5)],
)
def test_every_success_on_lenet_is_one(lenet, lenet_images, check_successes, method, pixels, targeted):
    count = 3 if method == "levels" else 6
    images, labels = (each[:count] for each in lenet_images)
    targets = lenet(images).argsort(axis=1)[:, -2] if targeted else None
    parameters = lenet_parameters(lenet, images, method)
    settings = {"method": method, "pixels": pixels, "targets": targets, "batch_size": BATCH}
    found = attack(lenet, images, labels, **settings, **parameters)
    assert found.attacked.all()
    assert found.success.any()
    check_successes(found, images, labels, lenet, BATCH, targets)


@pytest.mark.parametrize("pixels", [1, 3, 5])
@pytest.mark.parametrize("method", ["corners", "levels", "de", "strongest"])
def test_every_success_on_small_crops_is_one(make_crops, make_classifier, check_successes, method, pixels):
    images, classifier = make_crops(40, 8, 7), make_classifier(8, 7, seed=0)
    labels = classifier.labels(images)
    runners_up = classifier(images).argsort(axis=1)[:, -2]
    parameters = {"population": 30, "generations": 6} if method in ("de", "strongest") else {}
    for targets in (None, runners_up):
        found = attack(classifier, images, labels, method=method, pixels=pixels, targets=targets, **parameters)
        assert found.success.sum() > 5
        check_successes(found, images, labels, classifier, 1, targets)


@pytest.mark.parametrize(
    ("method", "order", "parameters"),
    [
        ("corners", None, {}),
        ("corners", sweep_ranking, {}),
        ("strongest", None, {"seeds": 1, "population": 10, "generations": 2}),
    ],
)
def test_a_classifier_may_answer_in_the_same_array_each_time(victims, same_outcomes, method, order, parameters):
    classifier, images, labels = victims
    given = np.empty((16, 4), np.float32)

    def reusing(shown):
        given[:] = classifier(shown)
        return given

    def found(predict):
        ranking = order and order(predict, batch_size=16)
        return attack(predict, images, labels, method=method, order=ranking, batch_size=16, **parameters)

    expected = found(classifier)
    assert expected.success.any()
    same_outcomes(expected, found(reusing))


def test_pixels_drawn_over_one_another_are_reported_as_they_are_seen(make_crops, make_classifier, check_successes):
    images, classifier = make_crops(60, 1, 3), make_classifier(1, 3, seed=1)
    labels = classifier.labels(images)
    found = attack(classifier, images, labels, method="de", pixels=3, population=8, generations=3)
    check_successes(found, images, labels, classifier, 1)
    places = [len(set(map(tuple, pixels))) for pixels in found.pixels[found.success].tolist()]
    assert min(places) < 3


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (Levels(levels=3, low=20), {"method": "levels", "levels": 3, "low": 20}),
        (
            DifferentialEvolution(population=20, generations=4),
            {"method": "de", "population": 20, "generations": 4},
        ),
    ],
)
def test_a_method_that_is_made_is_the_one_that_is_named(make_crops, make_classifier, same_outcomes, made, named):
    images, classifier = make_crops(8, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier(images).argmax(axis=1)
    same_outcomes(attack(classifier, images, labels, method=made), attack(classifier, images, labels, **named))


def test_one_target_does_for_all_images(make_crops, make_classifier, same_outcomes):
    images, classifier = make_crops(40, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    others = labels != 3
    one = attack(classifier, images[others], labels[others], targets=3)
    assert one.success.any()
    same_outcomes(one, attack(classifier, images[others], labels[others], targets=np.full(others.sum(), 3)))
    assert (classifier.labels(one.images)[one.success] == 3).all()


@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("method", ["corners", "levels", "de"])
def test_an_image_wrong_from_the_start_is_not_attacked(make_crops, make_classifier, record, method, targets):
    images, classifier = make_crops(8, 5, 6), make_classifier(5, 6, seed=2)
    labels = classifier.labels(images)
    wrong = np.arange(8) % 2 == 1
    labels[wrong] = (labels[wrong] + 1) % 3
    labels[labels == 3] = 0
    wrong = classifier.labels(images) != labels
    shown = record(classifier)
    parameters = {"population": 10, "generations": 1} if method == "de" else {}
    found = attack(shown, images, labels, method=method, targets=targets, batch_size=1, **parameters)
    assert np.array_equal(found.attacked, ~wrong)
    assert 0 < wrong.sum() < 8
    for index in np.flatnonzero(wrong):
        assert not found.success[index]
        assert found.queries[index] == found.evaluated[index] == 0
        assert not found.exhausted[index]
        assert (found.pixels[index] == -1).all()
        assert np.array_equal(found.images[index], images[index])
        near = (shown.rows[8:] == images[index]).all(axis=-1).sum(axis=(1, 2)) >= 5 * 6 - 1
        assert not near.any()


def test_where_all_are_wrong_from_the_start_nothing_is_searched(make_crops, never, record):
    images, shown, reports = make_crops(5, 4, 4), record(never), []
    found = attack(shown, images, [1, 2, 1, 2, 1], batch_size=4, progress=reports.append)
    assert not found.attacked.any()
    assert np.array_equal(shown.rows[:5], images)
    assert len(shown.batches) == 2
    assert reports == [(5, 5, 0, 0, 1.0)]


def test_the_callers_images_stay_as_they_were(make_crops, make_classifier, same_outcomes):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    before, labels = images.copy(), classifier.labels(images)
    images.flags.writeable = False
    found = attack(classifier, images, labels)
    assert found.success.any()
    assert np.array_equal(images, before)
    columns_first = np.asfortranarray(images)
    same_outcomes(found, attack(classifier, columns_first, labels.astype(np.uint8).tolist()))
    same_outcomes(found, attack(classifier, list(images), labels.astype(np.int16)))


def test_outcomes_come_as_they_are_known_those_not_attacked_first(make_crops, make_classifier, record):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    labels[[5, 9]] = (labels[[5, 9]] + 1) % 4
    shown, outcomes, batches = record(classifier), [], []

    def finished(outcome):
        outcomes.append(outcome)
        batches.append(len(shown.batches))

    found = attack(shown, images, labels, on_finished=finished, batch_size=32)
    assert [outcome.index for outcome in outcomes[:2]] == [5, 9]
    assert batches[:3] == [1, 1, batches[2]]  # known from the first look
    assert len(set(batches)) > 3  # not all at the end
    assert sorted(outcome.index for outcome in outcomes) == list(range(12))
    for outcome in outcomes:
        for name in ("attacked", "success", "queries", "evaluated", "exhausted", "pixels", "colors"):
            assert np.array_equal(getattr(outcome, name), getattr(found, name)[outcome.index])
        assert np.array_equal(outcome.image, found.images[outcome.index])


def test_an_error_in_a_callback_ends_the_attack(make_crops, make_classifier):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)

    def stop(_):
        raise KeyboardInterrupt

    for callback in ("progress", "on_finished"):
        with pytest.raises(KeyboardInterrupt):
            attack(classifier, images, classifier.labels(images), **{callback: stop})


class Clock:
    """Stands in for the module `time`: each look at it is `step_s` later than the one before."""

    def __init__(self, step_s):
        self.step_s, self.now_s = step_s, 0.0

    def monotonic(self):
        self.now_s += self.step_s
        return self.now_s


def test_progress_counts_the_spent_part_of_searches_under_way(monkeypatch, make_crops, never):
    monkeypatch.setattr("pixelproof.attack.search.driver.time", Clock(1))
    reports = []
    attack(never, make_crops(2, 4, 4), [0, 0], progress=reports.append, batch_size=64)
    assert [report.evaluated for report in reports] == [64, 128, 192, 256, 256]
    assert [report.share for report in reports] == [0.25, 0.5, 0.75, 1, 1]
    assert [report.finished for report in reports] == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("step_s", [0, 0.03, 1])
def test_progress_is_told_at_most_ten_times_a_second_and_at_the_end(monkeypatch, make_crops, make_classifier, step_s):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    clock, reports = Clock(step_s), []
    monkeypatch.setattr("pixelproof.attack.search.driver.time", clock)
    found = attack(
        classifier,
        images,
        classifier.labels(images),
        progress=lambda told: reports.append((clock.now_s, told)),
        batch_size=32,
    )
    times_s = [time_s for time_s, _ in reports[:-1]]
    assert (np.diff(times_s) >= 0.1 - 1e-9).all()
    assert len(reports) == 2 if step_s == 0 else len(reports) > 5
    shares = [told.share for _, told in reports]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5
    for earlier, later in itertools.pairwise(reports):
        assert all(before <= after for before, after in zip(earlier[1], later[1], strict=True))
    assert reports[-1][1] == (12, 12, found.success.sum(), found.evaluated.sum(), 1.0)
