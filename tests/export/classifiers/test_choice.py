"""Which kind of classifier is meant by what was asked for."""

import pytest

from pixelproof.export.classifiers import open_classifier


@pytest.mark.parametrize("name", ["own.onnx", "own.ONNX", "Own.Onnx"])
def test_an_onnx_file_by_its_suffix_in_either_case(make_onnx, name: str):
    opened = open_classifier(make_onnx(name), None)
    assert (opened.source, opened.name) == ("onnx", name)
