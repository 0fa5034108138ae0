"""The network that compute-sanitizer's attack runs on the host is the same on a device that is not there."""

import numpy as np

from pixelproof.attack import attack
from pixelproof.benchmarks.gpu.sanitized import HostNetwork


def test_some_of_its_images_fall_and_some_do_not():
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), np.uint8)
    network = HostNetwork((9, 7))
    labels = network(images).argmax(1)
    np.testing.assert_allclose(network(images).sum(1), 1, atol=1e-6)
    found = attack(network, images, labels, method="de", population=40, generations=10, seed=3)
    assert 0 < found.success.sum() <= 12
