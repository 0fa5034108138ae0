"""A network on the device, asked from the host."""

import numpy as np
import pytest

from pixelproof.attack.cuda import DevicePredict
from pixelproof.attack.search.candidates import drawn


def test_any_number_of_images_is_shown_in_whole_batches(device, make_device_network, make_classifier, make_crops):
    classifier = make_classifier(8, 7, seed=5)
    network = make_device_network(device, classifier)
    predict = DevicePredict(device, network, (8, 7), rows=4)
    for count in (0, 1, 4, 11):
        images, before = make_crops(max(count, 1), 8, 7)[:count], network.runs
        found = predict(images)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, classifier(images) if count else np.empty((0, 4)))
        assert network.runs - before == -(-count // 4)
    assert {rows for name, rows in device.calls if name == "network"} == {4}


def test_the_network_may_take_fewer_rows(device, make_device_network, make_classifier):
    network = make_device_network(device, make_classifier(8, 7, seed=5))
    network.most_rows = 3
    assert DevicePredict(device, network, (8, 7), rows=10).rows == 3


@pytest.mark.parametrize("pixels", [1, 3])
def test_changes_are_drawn_on_the_device(device, make_device_network, make_classifier, make_crops, pixels):
    classifier, draw = make_classifier(8, 7, seed=5), np.random.default_rng(3)
    predict = DevicePredict(device, make_device_network(device, classifier), (8, 7), rows=4)
    for images in (make_crops(6, 8, 7), make_crops(9, 8, 7)[3:], make_crops(2, 8, 7)):
        for count in (4, 11, 3):
            rows = draw.integers(0, len(images), count)
            positions, colors = (
                draw.integers(0, 56, (count, pixels)),
                draw.integers(0, 256, (count, pixels, 3), np.uint8),
            )
            expected = classifier(drawn(images, rows, positions, colors))
            np.testing.assert_array_equal(predict.predict_changes(images, rows, positions, colors), expected)
        np.testing.assert_array_equal(predict(images), classifier(images))  # what the rows held is forgotten


def test_what_others_left_on_the_batch_does_not_stay(device, make_device_network, make_classifier, make_crops):
    classifier, images = make_classifier(8, 7, seed=5), make_crops(4, 8, 7)
    predict = DevicePredict(device, make_device_network(device, classifier), (8, 7), rows=4)
    for position, pixels in ((9, 1), (10, 1), (11, 2), (12, 0), (12, 1)):
        changes = np.arange(4), np.full((4, pixels), position), np.full((4, pixels, 3), 200, np.uint8)
        np.testing.assert_array_equal(predict.predict_changes(images, *changes), classifier(drawn(images, *changes)))
        if position == 9:
            predict(255 - images)


def test_little_crosses_to_the_device(device, make_device_network, make_classifier, make_crops):
    images, classifier = make_crops(6, 32, 32), make_classifier(32, 32, seed=5)
    predict = DevicePredict(device, make_device_network(device, classifier), (32, 32), rows=64)
    rows, positions, colors = np.zeros(64, int), np.arange(64)[:, None], np.zeros((64, 1, 3), np.uint8)
    predict.predict_changes(images, rows, positions, colors)
    device.calls.clear()
    for _ in range(5):
        predict.predict_changes(images, rows, positions, colors)
    assert sum(nbytes for name, nbytes in device.calls if name == "write") <= 5 * 64 * 30


def test_memory_does_not_grow_with_calls(device, make_device_network, make_classifier, make_crops):
    predict = DevicePredict(device, make_device_network(device, make_classifier(8, 7, seed=5)), (8, 7), rows=4)
    given = [make_crops(count, 8, 7) for count in (3, 9, 5, 9)]
    held = []
    for _ in range(3):
        for images in given:
            for pixels in (0, 1):
                changes = np.full((3, pixels), 9), np.full((3, pixels, 3), 200, np.uint8)
                predict.predict_changes(images, np.arange(3), *changes)
        held.append(len(device.memory))
    assert held[0] == held[1] == held[2]
