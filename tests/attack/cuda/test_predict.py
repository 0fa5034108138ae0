"""A network on the device, asked from the host."""

import numpy as np

from pixelproof.attack.cuda import DevicePredict


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
