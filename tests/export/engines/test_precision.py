"""Shares of lower precisions, as TensorRT's inspector tells them."""

import pytest

from pixelproof.errors import ExportError
from pixelproof.export.engines.precision import check_shares, shares_of_layers


def convolution(kind: str, name: str = "classifier.conv1 + classifier.relu") -> dict:
    return {"Name": name, "LayerType": "CaskConvolution", "ParameterType": "Convolution", "Weights": {"Type": kind}}


def test_weights_of_convolutions_are_counted():
    layers = [convolution("Half"), convolution("Half"), convolution("Int8"), convolution("Float")]
    others = [
        {"Name": "b", "LayerType": "kgen"},
        {"ParameterType": "Pooling"},
        "a name alone",
        convolution("Float", "purifier.a"),
    ]
    assert shares_of_layers([*layers, *others]) == {"fp16": 0.5, "int8": 1 / 3}  # in int8 of all but the first
    for count in (1, 3):
        assert shares_of_layers([convolution("Int8")] * count) == {"fp16": 0.0, "int8": 1.0}


@pytest.mark.parametrize("layers", [[], ["first", "second"], [{"ParameterType": "Convolution"}]])
def test_where_nothing_is_told_nothing_is_said(layers: list):
    assert shares_of_layers(layers) is None


def test_shares_that_contradict_the_name_fail():
    check_shares("int8", {"fp16": 0.0, "int8": 0.95})
    check_shares("fp32", {"fp16": 0.0, "int8": 0.05})
    for precision, shares in (("int8", {"fp16": 0.0, "int8": 0.8}), ("fp32", {"fp16": 0.0, "int8": 0.5})):
        with pytest.raises(ExportError, match=f"the bundle is named {precision}"):
            check_shares(precision, shares)
