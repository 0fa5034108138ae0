"""Which kind of classifier is meant by what was asked for."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.export.classifiers import open_classifier
from pixelproof.export.purifiers import open_purifier
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


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, torch.compile, lambda module: torch.compile(nn.DataParallel(module))]
)
def test_a_network_that_was_wrapped_is_the_network(wrap, tmp_path: Path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))
    options = {"purifier": "none", "size": (8, 8), "class_names": ["a", "b", "c"]}
    plain = export_bundle(network, tmp_path / "plain", **options)
    wrapped = export_bundle(wrap(network), tmp_path / "wrapped", **options)
    assert wrapped.manifest["classifier"] == plain.manifest["classifier"]
    assert wrapped.files["classifier.onnx"] == plain.files["classifier.onnx"]


@pytest.mark.parametrize("given", [7, nn.Linear, lambda: nn.Linear(2, 2)])
def test_what_is_no_network_is_refused(given):
    for open_ in (lambda asked: open_classifier(asked, None), open_purifier):
        with pytest.raises(
            UsageError, match=r"expected a name, a path or a torch\.nn\.Module, got (int|type|function)"
        ):
            open_(given)
