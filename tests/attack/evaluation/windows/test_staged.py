"""Windows give what the whole network gives, for every kind of layer, box and place."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from pixelproof.attack.evaluation.windows.costs import best_depth
from pixelproof.attack.evaluation.windows.cut import cut
from pixelproof.attack.evaluation.windows.layers import field_of
from pixelproof.attack.evaluation.windows.staged import incremental, open_parts
from pixelproof.attack.predictors.windows.incremental import Incremental
from pixelproof.attack.predictors.windows.receptive_field import ReceptiveField


def boxes(images: NDArray[np.uint8], count: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images with a box of `side` pixels changed, at corners, borders and anywhere; and the same unchanged."""
    random = np.random.default_rng(side)
    which = random.integers(0, len(images), count)
    clean, drawn = images[which], images[which].copy()
    for row, (height, width) in enumerate([images.shape[1:3]] * count):
        top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
        top = (0, height - side, top, top)[row % 4]
        left = (0, left, width - side, left)[row % 4]
        drawn[row, top : top + side, left : left + side] = random.integers(0, 2, (side, side, 3)) * 255
    return drawn, clean


@pytest.mark.parametrize("side", [1, 3, 9])
def test_boxes_of_any_size_at_any_place(network, side: int):
    parts = cut(onnx.load_from_string(network.model))
    assert parts is not None
    drawn, clean = boxes(network.images, 24, side)
    expected = network.predict(drawn)
    assert np.abs(expected - network.predict(clean)).max() > 1e-3  # the boxes matter
    for depth in {max(1, len(parts.parts) // 3), best_depth(parts)[0], len(parts.parts)}:
        opened = open_parts(parts, network.model, depth, 1)
        by_windows = Incremental(network.predict, opened, batch_size=16, sizes=(side,), tie=0)
        np.testing.assert_allclose(by_windows.near(drawn, clean), expected, rtol=0, atol=2e-6)
        assert by_windows.partly == len(drawn)


def test_what_is_worth_it_is_used(network, request: pytest.FixtureRequest):
    by_windows = incremental(network.model, network.predict, threads=1)
    if request.node.callspec.params["network"] in ("awkward", "resnet"):  # not of the sample's size; nothing gained
        assert by_windows is None
        return
    assert by_windows is not None
    drawn, clean = boxes(network.images, 40, 1)
    np.testing.assert_allclose(by_windows.near(drawn, clean), network.predict(drawn), rtol=0, atol=2e-6)


def test_a_network_that_says_something_else_is_noticed(network):
    """The check before use compares with what is deployed, where windows would be used."""

    def other(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.roll(network.predict(images), 1, axis=1)

    assert incremental(network.model, other, threads=1) is None


def test_a_graph_that_begins_otherwise_is_left_alone(network):
    model = onnx.load_from_string(network.model)
    model.graph.node[0].op_type = "Identity"
    assert cut(model) is None
    assert incremental(model.SerializeToString(), network.predict, threads=1) is None


@pytest.mark.parametrize(
    ("shape", "alike"),
    [((), True), ((1,), True), ((8, 1, 1), True), ((1, 8, 1, 1), True), ((9,), False), ((4, 1), False)],
)
def test_what_differs_from_place_to_place_is_not_computed_by_windows(shape: tuple[int, ...], alike: bool):
    """A constant of one axis is spread along the width, not over the channels."""
    constant = onnx.numpy_helper.from_array(np.zeros(shape, np.float32), "constant")
    node = onnx.helper.make_node("Add", ["map", "constant"], ["sum"])
    assert (field_of(node, {"constant": constant}) == ReceptiveField(0, 0)) == alike
