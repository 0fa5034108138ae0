"""Screened searches of real victims find what full ones find, and are kept apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pixelproof.benchmarks.defence import DataChoice
from pixelproof.benchmarks.defence.attack_run import attack_bundle
from pixelproof.benchmarks.defence.screen import opened_screen
from pixelproof.benchmarks.defence.victims import bare_classifier, purified_pipeline
from pixelproof.benchmarks.screening import SCREENS, bfloat16
from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

SETTINGS = {"images": 2, "pixels": 1, "target": None, "seed": 0}


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch):
    """The same arithmetic without the compiler's half minute; compiled it is in the proof's tests."""
    monkeypatch.setattr(bfloat16, "can_compile", lambda device: False)


@pytest.fixture(scope="module")
def autoencoder_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = tmp_path_factory.mktemp("bundles") / "lenet-autoencoder"
    export_bundle("lenet", bundle, purifier="autoencoder")
    return bundle


@pytest.fixture
def some() -> DataChoice:
    """Two shipped test images that LeNet gets right, of which one withstands what the other falls to."""
    return DataChoice(sample().take(np.array([3, 0])), "two shipped test images")


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("protocol", ["transfer", "adaptive"])
@pytest.mark.parametrize("purifier", ["median", "autoencoder"])
def test_the_same_images_fall_by_the_same_pixels(
    screen: str, protocol: str, purifier: str, lenet_median_bundle, autoencoder_bundle, some, tmp_path: Path
):
    bundle = lenet_median_bundle if purifier == "median" else autoencoder_bundle
    asked = {**SETTINGS, "protocol": protocol, "method": "corners", "records": tmp_path / "records"}
    full, screened, again = (attack_bundle(bundle, some, screen=name, **asked) for name in (None, screen, screen))
    for mine, right in zip(screened.images, full.images, strict=True):
        assert {name: mine[name] for name in ("success", "pixels", "colours")} == {
            name: right[name] for name in ("success", "pixels", "colours")
        }
    assert [each["exhausted"] for each in full.images] == [not each["success"] for each in full.images]
    assert not any(each["exhausted"] for each in screened.images)
    assert screened.summary["screen"] == screen
    assert again.images == screened.images  # seconds and all: nothing was attacked again


@pytest.mark.parametrize("purifier", ["median", "autoencoder"])
def test_most_candidates_are_left_to_the_cheap_network(purifier: str, lenet_median_bundle, autoencoder_bundle):
    bundle = lenet_median_bundle if purifier == "median" else autoencoder_bundle
    images = np.repeat(sample().images[:4], 64, axis=0)
    rows, positions = np.repeat(np.arange(4), 64), np.arange(256)[:, None] * 4
    colours = np.full((256, 1, 3), 255, np.uint8)
    with Pipeline(bundle) as whole, Pipeline(bundle, part="classifier") as bare, opened_screen("bf16", bare) as behind:
        for victim, deployed in ((bare_classifier(bare), bare), (purified_pipeline(whole, bare), whole)):
            screened = behind(victim, deployed.predict).predict
            drawn = images.copy()
            drawn[np.arange(256), positions[:, 0] // 32, positions[:, 0] % 32] = 255
            found = screened.of_changes(sample().images[:4], rows, positions, colours)
            expected = deployed.predict(drawn)
            assert 0.5 * 256 < screened.discarded <= screened.asked == 256
            assert 0 < np.abs(found - expected).max() < 0.05
            sure = np.sort(expected, axis=1)[:, -1] > 0.9
            np.testing.assert_array_equal(found[sure].argmax(1), expected[sure].argmax(1))


def test_without_a_screen_a_victim_stays_as_it_is(lenet_median_bundle):
    with Pipeline(lenet_median_bundle, part="classifier") as bare, opened_screen(None, bare) as behind:
        victim = bare_classifier(bare)
        assert behind(victim, bare.predict) is victim


def test_pytorchs_threads_are_as_before_once_a_screen_is_closed(lenet_median_bundle):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Pipeline(lenet_median_bundle, part="classifier", threads=1) as bare, opened_screen("bf16", bare):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_only_shipped_weights_are_screened(make_bundle):
    with (
        Pipeline(make_bundle(purifier="cap"), part="classifier") as bare,
        pytest.raises(UsageError, match="has not the shipped weights, and only those are screened"),
        opened_screen("bf16", bare),
    ):
        pass
