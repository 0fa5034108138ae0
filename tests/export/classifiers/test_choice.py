"""Which kind of classifier is meant by what was asked for."""

from pathlib import Path

import pytest

from pixelproof.export import export_bundle
from pixelproof.export.classifiers import open_classifier
from pixelproof.export.reference import real_images
from pixelproof.runtime import Pipeline


@pytest.mark.parametrize("name", ["own.onnx", "own.ONNX", "Own.Onnx"])
def test_an_onnx_file_by_its_suffix_in_either_case(make_onnx, name: str):
    opened = open_classifier(make_onnx(name), None)
    assert (opened.source, opened.name) == ("onnx", name)


def test_minus_one_is_a_batch_of_any_size(make_onnx, tmp_path: Path):
    """As some converters write it, and ONNX Runtime takes it."""
    export_bundle(make_onnx(batch=-1), tmp_path / "b", purifier="none", size=(96, 64), class_names=["a", "b", "c"])
    with Pipeline(tmp_path / "b") as pipeline:
        assert pipeline.predict(real_images((96, 64))[:5]).shape == (5, 3)
