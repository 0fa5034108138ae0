"""A shipped purifier's graph is traced once a process, and again where its weights are others."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from pixelproof.errors import WeightsError
from pixelproof.export import purifiers
from pixelproof.export.purifiers import Purifier, open_purifier
from pixelproof.models import build_purifier, registry, weights_path
from pixelproof.models.data import sample


def answers(graph, levels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: levels})[0]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the autoencoder's weights are looked for instead: they are not there yet."""
    path = tmp_path / "autoencoder.safetensors"
    shipped = registry.weights_path
    for module in (registry, purifiers):
        monkeypatch.setattr(module, "weights_path", lambda name: path if name == "autoencoder" else shipped(name))
    return path


def test_it_is_traced_once_for_each_size(monkeypatch):
    traced = []
    trace = purifiers.trace
    monkeypatch.setattr(purifiers, "trace", lambda *given, **more: traced.append(given[1]) or trace(*given, **more))
    median = Purifier("median", None, build_purifier("median"))
    graphs = [median.to_onnx(size) for size in ((6, 7), (6, 7), (8, 5), (6, 7))]
    assert traced == [(6, 7), (8, 5)]
    assert graphs[0] is graphs[3] is not graphs[2]


def test_two_exports_share_a_shipped_one_and_ones_own_is_traced_anew():
    assert open_purifier("median") is open_purifier("median")
    own = torch.nn.Identity()
    assert open_purifier(own) is not open_purifier(own)


def test_weights_that_were_replaced_are_those_exported(elsewhere: Path):
    weights = load_file(Path(registry.__file__).parent / "weights" / "autoencoder.safetensors")
    levels = sample().images[:2].transpose(0, 3, 1, 2).astype(np.float32)
    found = []
    for factor in (1.0, 0.5):
        save_file({name: value * factor for name, value in weights.items()}, elsewhere)
        opened = open_purifier("autoencoder")
        found.append(answers(opened.to_onnx((32, 32)), levels))
        np.testing.assert_allclose(found[-1].clip(0, 255), opened.run(levels), atol=0.05)
    assert np.abs(found[0] - found[1]).max() > 1


def test_weights_that_are_missing_are_named(elsewhere: Path):
    open_purifier("median")
    with pytest.raises(WeightsError, match="autoencoder"):
        open_purifier("autoencoder")
    assert weights_path("autoencoder").is_file()  # the shipped ones, of which this says nothing
