"""The search on a device gives, candidate for candidate, what `attack` gives; and asks the device for little."""

from dataclasses import replace

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.cuda import table
from pixelproof.attack.cuda.search import attack_on_device
from pixelproof.errors import PixelproofError, UsageError

SETTINGS = {"population": 12, "generations": 9, "seed": 3}


def each_once(images):
    """The images in the order in which they come first, without empty rows."""
    images = images[images.any(axis=(1, 2, 3))]
    _, first = np.unique(images, axis=0, return_index=True)
    return images[np.sort(first)]


def unlucky(images):
    """The images changed so that none succeeds itself with `make_fickle`'s classifier."""
    images[:, 0, 0, 0] += ((1 - images.astype(int).sum((1, 2, 3))) % 10).astype(np.uint8)
    return images


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("pixels", "factor", "block", "rows"), [(1, 0.5, 128, 40), (3, 0.3, 33, 17), (5, 1.25, 1, 64), (1, 2.0, 1024, 1)]
)
def test_an_image_is_shown_what_the_reference_shows(
    device, make_device_network, make_classifier, make_crops, record, pixels, factor, block, rows, targeted
):
    images, classifier = make_crops(8, 8, 7), make_classifier(8, 7, seed=5)
    labels, runners_up = classifier(images).argsort(axis=1)[:, [-1, -2]].T
    device.block, device.backwards = block, targeted
    settings = {"pixels": pixels, "population": 9, "generations": 12, "factor": factor, "seed": 5}
    outcomes = set()
    for image, label, runner_up in zip(images[:, None], labels[:, None], runners_up[:, None], strict=True):
        settings["targets"] = runner_up if targeted else None
        expected, found = record(classifier), record(classifier)
        reference = attack(expected, image, label, method="de", batch_size=1, **settings)
        result = attack_on_device(device, make_device_network(device, found), image, label, rows=rows, **settings)
        assert (result.success, result.queries) == (reference.success, reference.queries)
        shown = each_once(expected.rows)  # on the device, the rest of a generation follows a success
        np.testing.assert_array_equal(each_once(found.rows)[: len(shown)], shown)
        outcomes.add(bool(reference.success[0]))
    assert outcomes == {True, False}  # or half of the claim was not tried


@pytest.mark.parametrize("recordable", [False, True])
@pytest.mark.parametrize(("lanes", "rows"), [(1, 12), (3, 36), (5, 7), (64, 1000)])
@pytest.mark.parametrize("pixels", [1, 3])
def test_the_same_results_whatever_the_lanes_and_rows(
    same_outcomes, device, make_device_network, make_classifier, make_crops, recordable, lanes, rows, pixels
):
    images, classifier = make_crops(10, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    labels[4] = (labels[4] + 1) % 4  # wrong from the start
    expected = attack(classifier, images, labels, method="de", pixels=pixels, **SETTINGS)
    assert set(expected.success.tolist()) == {False, True}
    network = make_device_network(device, classifier, recordable=recordable)
    found = attack_on_device(device, network, images, labels, pixels=pixels, lanes=lanes, rows=rows, **SETTINGS)
    same_outcomes(expected, found)
    withstood = expected.attacked & ~expected.success
    np.testing.assert_array_equal(found.evaluated[withstood], expected.evaluated[withstood])
    batches = -(-min(lanes, 10) * 12 // min(rows, min(lanes, 10) * 12))
    # two openings, the end, and of each batch all of it, or what lies before and behind the network
    assert device.calls.count(("record", 0)) == 3 + batches * (1 if recordable else 2)
    assert ("replay", 0) in device.calls


@pytest.mark.parametrize("target", [2, "runner-up"])
def test_targeted(same_outcomes, device, make_device_network, make_classifier, make_crops, target):
    images, classifier = make_crops(10, 8, 7), make_classifier(8, 7, seed=5)
    order = classifier(images).argsort(axis=1)
    keep = order[:, -1] != 2
    images, order = images[keep], order[keep]
    targets = 2 if target == 2 else order[:, -2]
    settings = {**SETTINGS, "targets": targets, "factor": 0.9}
    expected = attack(classifier, images, order[:, -1], method="de", **settings)
    network = make_device_network(device, classifier)
    found = attack_on_device(device, network, images, order[:, -1], lanes=4, rows=16, **settings)
    same_outcomes(expected, found)
    assert expected.success.any()


def test_what_the_exact_network_does_not_share_is_passed_over(device, make_device_network, make_classifier, make_crops):
    """The network on the device is a coarser one, that errs both ways: the search goes on past its errors."""
    images, exact = make_crops(40, 8, 7), make_classifier(8, 7, seed=5)

    def coarse(shown):
        return exact(shown // 48 * 48)

    labels, network = exact.labels(images), make_device_network(device, coarse)
    alone = attack_on_device(device, network, images, labels, lanes=4, rows=48, **SETTINGS)
    found = attack_on_device(device, network, images, labels, lanes=4, rows=48, exact=exact, **SETTINGS)
    deceived = exact(found.images).argmax(1) != labels
    np.testing.assert_array_equal(found.probabilities_before, exact(images))
    np.testing.assert_array_equal(found.probabilities_after, exact(found.images))
    assert found.attacked.all()
    assert not alone.attacked.all()
    assert 0 < found.success.sum() < len(images)
    assert deceived[found.success].all()
    wrong = alone.success & (exact(alone.images).argmax(1) == labels)
    assert (wrong & found.success).any()  # found later, where the search would have stopped at an error


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_success_that_does_not_hold_is_passed_over(device, make_device_network, make_crops, make_fickle, lanes):
    """Two images at a time do not disturb one another; each on its own is what the reference attacks."""
    images, shown = unlucky(make_crops(2, 6, 7)), []
    network = make_device_network(device, make_fickle(), classes=2)
    settings = {"population": 12, "generations": 6, "pixels": 2}
    found = attack_on_device(device, network, images, np.zeros(2, int), lanes=lanes, rows=12, **settings)
    for index in range(2):
        fickle = make_fickle()
        reference = attack(fickle, images[index : index + 1], np.zeros(1, int), method="de", batch_size=1, **settings)
        assert reference.success.tolist() == [False]
        assert (bool(found.success[index]), int(found.queries[index])) == (False, 7 * 12)
        assert sum(fickle.successes) > 3
        shown.append(each_once(np.stack(fickle.shown))[1:])
    looks = [rows for name, rows in device.calls if name == "network"]
    assert len(looks) > 7 * 2  # confirmations among them
    if lanes == 1:
        np.testing.assert_array_equal(each_once(np.stack(network.predict.shown))[2:], np.concatenate(shown))


@pytest.mark.parametrize(("lanes", "rows"), [(1, 12), (3, 7)])
def test_of_one_pixel_too_with_what_was_seen_before(device, make_device_network, make_crops, make_fickle, lanes, rows):
    """A success that does not hold is remembered as it was when shown again."""
    images = unlucky(make_crops(4, 6, 7))
    settings = {"population": 20, "generations": 20, "factor": 0.4}
    network = make_device_network(device, make_fickle(), classes=2)
    found = attack_on_device(device, network, images, np.zeros(4, int), lanes=lanes, rows=rows, **settings)
    for index in range(4):
        alone = {"method": "de", "batch_size": 1, **settings}
        reference = attack(make_fickle(), images[index : index + 1], np.zeros(1, int), **alone)
        assert reference.evaluated[0] < reference.queries[0]
        for name in ("success", "queries", "evaluated"):
            assert getattr(found, name)[index] == getattr(reference, name)[0], name


def test_without_memory_for_all_candidates_it_does_without(
    same_outcomes, device, make_device_network, make_classifier, make_crops, monkeypatch
):
    images, classifier = make_crops(10, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    expected = attack(classifier, images, labels, method="de", **SETTINGS)
    for limit in (100_000, 0):  # what the device has, or what is asked of it at most
        tight = replace(device, limit=limit or device.limit, memory={}, calls=[])
        monkeypatch.setattr(table, "MOST_BYTES", table.MOST_BYTES if limit else 0)
        found = attack_on_device(tight, make_device_network(tight, classifier), images, labels, rows=12, **SETTINGS)
        same_outcomes(expected, found)
        withstood = found.attacked & ~found.success
        assert (found.evaluated[withstood] == found.queries[withstood]).all()


def test_nothing_but_each_lanes_state_comes_back(device, make_device_network, make_crops, never):
    images = make_crops(4, 8, 7)
    network = make_device_network(device, never, classes=3)
    attack_on_device(device, network, images, np.zeros(4, int), lanes=4, rows=48, **SETTINGS)
    begin = device.calls.index(("replay", 0))
    reads = [nbytes for name, nbytes in device.calls[begin:] if name == "read"]
    assert reads == [4 * 4] * 20 + [4 * 4]  # a generation how many are new and the lanes' state, and once their winners
    assert not [call for call in device.calls[begin:] if call[0] == "write"]


def test_a_generation_is_propose_find_then_batches_then_select(device, make_device_network, make_crops, never):
    images = make_crops(3, 8, 7)
    network = make_device_network(device, never, classes=3, recordable=False)
    settings = {"population": 10, "generations": 0, "pixels": 3}
    attack_on_device(device, network, images, np.zeros(3, int), lanes=3, rows=16, **settings)
    launched = [call for call in device.calls if call[0] not in ("allocate", "read", "write", "record")]
    drawn, network, judged = [("place_images", 16 * 11), ("draw_candidates", 16)], ("network", 16), ("judge_rows", 16)
    opening = [("propose_candidates", 90), ("find_candidates", 30), ("mark_new", 32), ("assign_rows", 30)]
    last = [("share_fitness", 30), ("select_children", 30), ("advance_lanes", 3)]
    batch = [("replay", 0), *drawn, network, ("replay", 0), judged]
    ran = launched[launched.index(("replay", 0)) :]
    assert ran == [("replay", 0), *opening, *batch, *batch, ("replay", 0), *last]


def test_lanes_forget_what_they_saw_of_other_images(device, make_device_network, make_crops, never):
    """One lane, one image after the other: each is shown what it is shown alone."""
    images = make_crops(3, 8, 7)
    evaluated = []
    for shown in (images, images[1:2], images[2:]):
        network = make_device_network(device, never, classes=3)
        found = attack_on_device(device, network, shown, np.zeros(len(shown), int), lanes=1, **SETTINGS)
        evaluated.append(found.evaluated.tolist())
    assert evaluated[0][1:] == [evaluated[1][0], evaluated[2][0]]
    assert device.calls.count(("forget_candidates", 256)) >= 3


def test_a_candidate_of_one_pixel_is_shown_once(device, make_device_network, make_crops, never, record):
    images = make_crops(1, 4, 3)
    recorder = record(never)
    network = make_device_network(device, recorder, classes=3)
    settings = {"population": 40, "generations": 30, "factor": 0.3, "seed": 3}
    found = attack_on_device(device, network, images, np.zeros(1, int), rows=1, **settings)
    candidates = np.stack(recorder.rows)[1:]
    assert len(np.unique(candidates, axis=0)) == len(candidates) == found.evaluated[0] < found.queries[0]


def test_batches_without_a_running_lane_are_left_out(device, make_device_network, make_classifier, make_crops):
    images, classifier = make_crops(10, 8, 7), make_classifier(8, 7, seed=5)
    network = make_device_network(device, classifier)
    attack_on_device(device, network, images, classifier.labels(images), lanes=10, rows=12, **SETTINGS)
    assert network.runs < 10 * 10  # one batch a lane and generation, had none stopped


def test_progress_and_outcomes_are_told(device, make_device_network, make_classifier, make_crops):
    images, classifier = make_crops(6, 8, 7), make_classifier(8, 7, seed=5)
    told, ended = [], []
    network = make_device_network(device, classifier)
    found = attack_on_device(
        device,
        network,
        images,
        classifier.labels(images),
        lanes=2,
        progress=told.append,
        on_finished=ended.append,
        **SETTINGS,
    )
    assert (told[-1].finished, told[-1].share) == (6, 1.0)
    assert told[-1].successes == found.success.sum()
    assert sorted(outcome.index for outcome in ended) == list(range(6))


def test_what_does_not_fit_is_refused(device, make_device_network, make_crops, never):
    images, labels = make_crops(2, 8, 7), np.zeros(2, int)
    network = make_device_network(device, never, classes=3)
    with pytest.raises(UsageError, match="population"):
        attack_on_device(device, network, images, labels, population=3)
    many = np.zeros((2048, 1, 1, 3), np.uint8)
    with pytest.raises(UsageError, match="fewer lanes"):
        attack_on_device(device, network, many, np.zeros(2048, int), population=1 << 20, lanes=2048)
    with pytest.raises(UsageError, match="labels"):
        attack_on_device(device, network, images, np.full(2, 3), **SETTINGS)
    device.limit = 1000
    with pytest.raises(PixelproofError, match="too little memory"):
        attack_on_device(device, network, images, labels, **SETTINGS)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_network_that_gives_nan_is_told_of(device, make_device_network, make_crops, never, at_once):
    calls = []

    def broken(images):
        calls.append(0)
        return never(images) * np.float32(np.nan if at_once or len(calls) > 3 else 1)

    with pytest.raises(PixelproofError, match="gave NaN"):
        attack_on_device(
            device, make_device_network(device, broken, classes=3), make_crops(2, 8, 7), np.zeros(2, int), **SETTINGS
        )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (np.log, "probabilities from 0 to 1"),
        (lambda said: said / 2, "adds up to 0.5"),
        (lambda said: said.astype(np.float64), "dtype float64"),
        (lambda said: said[:, :3] / said[:, :3].sum(1, keepdims=True), "exact has 3 classes"),
        (lambda said: said[:-1], "expected float32 probabilities"),
    ],
    ids=["logits", "halves", "float64", "another number of classes", "a row short"],
)
def test_what_the_exact_network_gives_is_checked(
    device, make_device_network, make_classifier, make_crops, spoil, message
):
    images, classifier = make_crops(6, 8, 7), make_classifier(8, 7, seed=5)
    network = make_device_network(device, classifier)
    with pytest.raises(UsageError, match=message):
        attack_on_device(
            device, network, images, classifier.labels(images), exact=lambda shown: spoil(classifier(shown)), **SETTINGS
        )


def test_nan_of_the_exact_network_confirms_no_success(device, make_device_network, make_classifier, make_crops):
    images, classifier = make_crops(6, 8, 7), make_classifier(8, 7, seed=5)
    calls = []

    def broken(shown):
        calls.append(0)
        return classifier(shown) * np.float32(1 if len(calls) == 1 else np.nan)

    with pytest.raises(PixelproofError, match="NaN"):
        attack_on_device(
            device,
            make_device_network(device, classifier),
            images,
            classifier.labels(images),
            exact=broken,
            **SETTINGS,
        )
    assert len(calls) > 1


@pytest.mark.parametrize("name", ["progress", "on_finished", "exact"])
def test_what_cannot_be_called_is_refused(device, make_device_network, make_crops, never, name):
    network = make_device_network(device, never, classes=3)
    with pytest.raises(UsageError, match=f"{name} is 3, expected a function"):
        attack_on_device(device, network, make_crops(2, 8, 7), np.zeros(2, int), **{name: 3}, **SETTINGS)
