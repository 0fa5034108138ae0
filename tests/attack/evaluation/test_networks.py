"""How a search on a GPU has the network run: compiled where that can be, and tuned where the search is long."""

from pathlib import Path

import pytest

from pixelproof.attack.evaluation import device, half_precision
from pixelproof.models import build_classifier
from pixelproof.runtime import Pipeline


@pytest.mark.parametrize(
    ("candidates", "compiler", "asked", "told"),
    [
        (19_999_999, True, {"compiled": True, "tuned": False}, "PyTorch, classifier in float16"),
        (20_000_000, True, {"compiled": True, "tuned": True}, "PyTorch, classifier in float16, tuned"),
        (20_000_000, False, {"compiled": False, "tuned": False}, "PyTorch, classifier in float16"),
    ],
)
def test_a_long_search_is_tuned(
    lenet_median_bundle: Path, monkeypatch: pytest.MonkeyPatch, candidates: int, compiler: bool, asked: dict, told: str
):
    seen = []
    monkeypatch.setattr(device, "_pytorch_sees_a_gpu", lambda: True)
    monkeypatch.setattr(half_precision, "can_compile", lambda: compiler)
    monkeypatch.setattr(half_precision, "half_precision", lambda *network, **settings: seen.append(settings))
    with Pipeline(lenet_median_bundle, part="classifier", backend="cpu") as bare:
        network = device.device_network(bare, None, build_classifier("lenet"), candidates)
    assert (seen, network.description, network.classes) == ([asked], told, 10)
