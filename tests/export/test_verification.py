"""What the export measures of what it wrote."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pixelproof.errors import ExportError
from pixelproof.export import export_bundle, verification
from pixelproof.export.interface import Interface
from pixelproof.export.reference import Reference, real_images, to_levels
from pixelproof.export.verification import PROBABILITY_TOLERANCE
from pixelproof.models.data import adversarial_sample
from pixelproof.runtime import Pipeline


def test_an_alarm_can_be_set_by_the_manifest(lenet_median_bundle: Path):
    """The percentiles are the clean images' own, and what fools the bare classifier is mostly above them."""
    with Pipeline(lenet_median_bundle) as pipeline:
        told = pipeline.manifest["clean"]["suspicion_percentiles"]
        clean = pipeline(real_images((32, 32))).suspicion
        attacked = adversarial_sample("lenet", pipeline.manifest["classifier"]["weights_sha256"])
        suspicion = pipeline(attacked.images).suspicion
    assert told == {p: pytest.approx(np.percentile(clean, int(p)), abs=1e-6) for p in ("50", "90", "99")}
    assert (suspicion > told["99"]).mean() > 0.9


class Steep(nn.Module):
    """Large logits: float32 rounds them by more than the tolerance, whoever computes."""

    def __init__(self, *, off: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 256), nn.GELU(), nn.Linear(256, 3))
        self.off = off

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits = self.body(pixels) * 3000
        return logits + self.off if torch.compiler.is_exporting() else logits


OPTIONS = {"purifier": "none", "size": (16, 16), "class_names": ("circle", "square", "triangle")}


def test_a_network_may_differ_by_what_its_own_rounding_moves(tmp_path: Path):
    bundle = export_bundle(Steep(), tmp_path / "bundle", **OPTIONS)
    difference = bundle.manifest["verification"]["classifier"]["probabilities_max_difference"]
    assert PROBABILITY_TOLERANCE < difference < 1e-3


class Sure:
    """Probabilities of nearly 1, beside which 1 - p has no digits left in float32."""

    name = "sure"

    def run(self, pixels: np.ndarray) -> np.ndarray:
        return self._told(pixels)

    def run_in_double(self, pixels: np.ndarray) -> np.ndarray:
        return self._told(pixels.astype(np.float64))

    def _told(self, pixels: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-60 * (pixels.mean(axis=(1, 2, 3)) - pixels.dtype.type(0.45))))
        return np.stack([1 - p, p], axis=1)


def test_probabilities_that_are_sure_excuse_no_more_than_others():
    interface = Interface(size=(16, 16), class_names=("a", "b"), normalization=None, outputs="probabilities")
    levels = to_levels(real_images((16, 16)))
    reference = Reference(interface, Sure(), None)
    assert reference.classify(levels).max() > 1 - 1e-8
    assert 0 < reference.rounding(levels) < 0.01


def test_its_own_rounding_does_not_excuse_another_answer(tmp_path: Path):
    other = Steep(off=torch.tensor([0.0, 0.05, 0.0]))  # logits, of some thousands
    with pytest.raises(ExportError, match=r"probabilities by up to 0\.0\d+ \(0\.000\d+ is allowed"):
        export_bundle(other, tmp_path / "bundle", **OPTIONS)


def test_sigmoids_taken_for_logits_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    sigmoids = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3), nn.Sigmoid())
    export_bundle(sigmoids, tmp_path / "bundle", **OPTIONS)
    assert [record.message for record in caplog.records if "all lie in 0 to 1" in record.message]


def wrong_class(told: dict[str, np.ndarray]) -> None:
    told["classifier.labels"][7] = (told["classifier.labels"][7] + 1) % 3


def nan(told: dict[str, np.ndarray]) -> None:
    told["pipeline.probabilities"][7] = np.nan


def two_levels(told: dict[str, np.ndarray]) -> None:
    purified = told["pipeline.purified"][7, 3, 5]
    purified[...] = np.where(purified < 128, purified + 2, purified - 2)


def other_suspicion(told: dict[str, np.ndarray]) -> None:
    told["pipeline.suspicion"][7] += np.float32(0.05)


def other_suspect(told: dict[str, np.ndarray]) -> None:
    told["pipeline.suspect"][told["pipeline.suspicion"].argmax()] = -1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wrong_class, r"classifier.onnx .* the most probable class of 1 of 200 images"),
        (nan, r"pipeline.onnx .* probabilities by up to nan"),
        (two_levels, r"pipeline.onnx .* 'purified' by up to [23] of 255"),
        (other_suspicion, r"pipeline.onnx .* 'suspicion' by up to 0.05"),
        (other_suspect, r"pipeline.onnx .* 'suspect' by up to"),
    ],
)
def test_whatever_the_bundle_gives_is_compared(spoil, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    replay = verification._replay

    def spoilt(*given: object) -> dict[str, np.ndarray]:
        told = replay(*given)
        spoil(told)
        return told

    monkeypatch.setattr(verification, "_replay", spoilt)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    with pytest.raises(ExportError, match=message):
        export_bundle(network, tmp_path / "bundle", **OPTIONS | {"purifier": "median"})
    assert not (tmp_path / "bundle").exists()


class Lighter(nn.Module):
    """Adds so much to each level that the nearest whole one is the next."""

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        return levels + 0.6


def test_purified_levels_are_rounded_to_the_nearest(tmp_path: Path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    export_bundle(network, tmp_path / "bundle", **OPTIONS | {"purifier": Lighter()})
    images = real_images((16, 16))
    with Pipeline(tmp_path / "bundle") as pipeline:
        np.testing.assert_array_equal(pipeline.purify(images), np.minimum(images.astype(int) + 1, 255))
