"""`Incremental`: who is asked for which rows. That windows compute the right thing is tested on real networks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pixelproof.attack import Incremental, attack
from pixelproof.attack.predictors.cache import Maps
from pixelproof.attack.predictors.windows.incremental import Stage, Staged, boxes_around
from pixelproof.attack.predictors.windows.receptive_field import ReceptiveField, Wiring

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 8, 9, 3), np.uint8)


def blurred(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over 3x3 pixels of images that come with their padding."""
    height, width = levels.shape[2] - 2, levels.shape[3] - 2
    return sum(levels[:, :, row : row + height, column : column + width] for row in range(3) for column in range(3))


def shares(blurs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each channel's share of the largest sums: of whole numbers, and so exactly the same from the same ones."""
    largest = blurs.max((2, 3)) + 1
    return (largest / largest.sum(1, keepdims=True)).astype(np.float32)


class Network:
    """A tiny classifier, whole and in pieces, that notes how many rows it was shown."""

    def __init__(self) -> None:
        self.whole = self.clean = self.finished = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.whole += len(images)
        return shares(blurred(np.pad(levels(images), ((0, 0), (0, 0), (1, 1), (1, 1)))))

    def maps(self, images: NDArray[np.uint8]) -> Maps:
        self.clean += len(images)
        return {"image": levels(images), "blur": blurred(np.pad(levels(images), ((0, 0), (0, 0), (1, 1), (1, 1))))}

    def finish(self, maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        self.finished += len(maps[0])
        return shares(maps[0])

    def staged(self) -> Staged:
        stage = Stage(
            Wiring(("image",), ("blur",), (ReceptiveField(1, 1),), padded=True), lambda given: [blurred(given[0])]
        )
        return Staged((stage,), self.maps, ("blur",), self.finish)


def levels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.transpose(0, 3, 1, 2).astype(np.float32)


def changed(count: int, side: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    drawn = IMAGES[:count].copy()
    for row, image in enumerate(drawn):
        image[row % 6 : row % 6 + side, row % 5 : row % 5 + side] ^= 255
    return drawn, IMAGES[:count]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("remembered", [1, 3, 40])
def test_rows_are_answered_in_their_order_whatever_the_batches(batch_size: int, remembered: int):
    network = Network()
    by_windows = Incremental(
        network.predict, network.staged(), batch_size=batch_size, remembered=remembered, sizes=(1, 2), tie=0
    )
    for side in (1, 2, 3):
        drawn, clean = changed(50, side)
        np.testing.assert_array_equal(by_windows.near(drawn, clean), Network().predict(drawn))
    assert by_windows.partly + by_windows.whole == 150
    assert by_windows.partly > 90  # but for ties


def test_rows_that_do_not_differ_are_classified_as_a_whole():
    network = Network()
    by_windows = Incremental(network.predict, network.staged(), batch_size=8)
    by_windows.near(IMAGES, IMAGES)
    assert (by_windows.partly, by_windows.whole, network.clean) == (0, 50, 0)


def test_many_candidates_of_an_image_cost_its_maps_once():
    network = Network()
    by_windows = Incremental(network.predict, network.staged(), batch_size=8, remembered=2, tie=0)
    which = np.arange(60) % 2
    positions = np.arange(60)[:, None]
    colors = np.broadcast_to(np.uint8(255), (60, 1, 3))
    by_windows.predict_changes(IMAGES, which, positions, colors)
    assert network.clean == 2
    assert network.whole == by_windows.whole <= 8  # a candidate may be its image's own color


def test_close_calls_are_left_to_the_whole_network():
    network = Network()
    by_windows = Incremental(network.predict, network.staged(), batch_size=8, tie=1e3)
    drawn, clean = changed(20)
    np.testing.assert_array_equal(by_windows.near(drawn, clean), network.predict(drawn))
    assert (by_windows.partly, by_windows.whole) == (0, 20)


def test_an_attack_finds_the_same_with_it(same_outcomes):
    network = Network()
    labels = network.predict(IMAGES).argmax(1)
    by_windows = Incremental(network.predict, network.staged(), batch_size=16)
    for pixels in (1, 3):
        expected = attack(network.predict, IMAGES, labels, method="de", pixels=pixels, population=20, generations=5)
        found = attack(by_windows, IMAGES, labels, method="de", pixels=pixels, population=20, generations=5)
        assert expected.success.any()
        same_outcomes(expected, found)
    assert by_windows.partly > 0


def test_boxes_are_as_tight_as_can_be():
    differs = np.zeros((4, 8, 9, 3), bool)
    differs[0, 3, 4, 1] = True
    differs[1, 2, 8, 0] = differs[1, 7, 5, 2] = True
    differs[2, 0, 0] = True
    top, left, extent = boxes_around(differs)
    assert [*zip(top.tolist(), left.tolist(), extent.tolist(), strict=True)] == [
        (3, 4, 1),
        (2, 5, 6),
        (0, 0, 1),
        (0, 0, 0),
    ]
