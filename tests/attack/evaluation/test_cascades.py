"""Prefiltered searches of real victims find what full ones find, and are kept apart."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelproof.attack.evaluation import DataChoice, Settings
from pixelproof.attack.evaluation import cascades as bfloat16
from pixelproof.attack.evaluation.attack_run import attack_bundle
from pixelproof.attack.evaluation.cascades import check_cascade, open_cascade
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.export import export_bundle
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch):
    """The same arithmetic without the compiler's half minute; compiled it is in the validation's tests."""
    monkeypatch.setattr(bfloat16, "_compiled", lambda network, shape: None)


@pytest.fixture(scope="module")
def bundles(lenet_median_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """LeNet behind each purifier."""
    made = {"median": lenet_median_bundle}
    for purifier in ("autoencoder", "gated"):
        made[purifier] = tmp_path_factory.mktemp("bundles") / f"lenet-{purifier}"
        export_bundle("lenet", made[purifier], purifier=purifier)
    return made


@pytest.fixture
def some() -> DataChoice:
    """Two shipped test images that LeNet gets right, of which one withstands what the other falls to."""
    return DataChoice(sample().take(np.array([3, 0])), "two shipped test images")


@pytest.mark.parametrize(
    ("cascade", "protocol", "purifier"),
    [("int8", "transfer", "median"), ("bf16", "adaptive", "gated")],
)
def test_the_same_images_fall_by_the_same_pixels(
    cascade: str, protocol: str, purifier: str, bundles: dict[str, Path], some, tmp_path: Path
):
    bundle = bundles[purifier]
    full, screened, again = (
        attack_bundle(bundle, some, Settings(cascade=name), protocol=protocol, records=tmp_path / "records")
        for name in (None, cascade, cascade)
    )
    for mine, right in zip(screened.images, full.images, strict=True):
        assert {name: mine[name] for name in ("success", "pixels", "colours")} == {
            name: right[name] for name in ("success", "pixels", "colours")
        }
    assert [each["exhausted"] for each in full.images] == [not each["success"] for each in full.images]
    assert not any(each["exhausted"] for each in screened.images)
    assert screened.summary["screen"] == cascade
    assert again.images == screened.images  # seconds and all: nothing was attacked again


@pytest.mark.parametrize("method", ["levels", "de"])
def test_other_methods_and_targets_are_screened_too(method: str, bundles: dict[str, Path], some, tmp_path: Path):
    target = None if method == "de" else int(sample().labels[8])
    asked = {"protocol": "transfer", "records": tmp_path / "records"}
    full, screened = (
        attack_bundle(bundles["median"], some, Settings(method=method, target=target, cascade=name), **asked)
        for name in (None, "bf16")
    )
    assert [each["success"] for each in screened.images] == [each["success"] for each in full.images]
    if method == "levels":  # de goes by every fitness, and takes another way
        assert [each["pixels"] for each in screened.images] == [each["pixels"] for each in full.images]


@pytest.mark.parametrize("purifier", ["median", "autoencoder", "gated"])
def test_most_candidates_are_left_to_the_cheap_network(purifier: str, bundles: dict[str, Path]):
    bundle = bundles[purifier]
    images = np.repeat(sample().images[:4], 64, axis=0)
    rows, positions = np.repeat(np.arange(4), 64), np.arange(256)[:, None] * 4
    colors = np.full((256, 1, 3), 255, np.uint8)
    with Pipeline(bundle) as whole, Pipeline(bundle, part="classifier") as bare, open_cascade("bf16", bare) as behind:
        for victim, deployed in ((bare_classifier(bare), bare), (purified_pipeline(whole, bare), whole)):
            screened = behind(victim, deployed.predict).predict
            drawn = images.copy()
            drawn[np.arange(256), positions[:, 0] // 32, positions[:, 0] % 32] = 255
            found = screened.predict_changes(sample().images[:4], rows, positions, colors)
            expected = deployed.predict(drawn)
            assert 0.5 * 256 < screened.discarded <= screened.asked == 256
            assert 0 < np.abs(found - expected).max() < 0.05
            sure = np.sort(expected, axis=1)[:, -1] > 0.9
            np.testing.assert_array_equal(found[sure].argmax(1), expected[sure].argmax(1))


def test_without_a_cascade_a_victim_stays_as_it_is(lenet_median_bundle):
    with Pipeline(lenet_median_bundle, part="classifier") as bare, open_cascade(None, bare) as behind:
        victim = bare_classifier(bare)
        assert behind(victim, bare.predict) is victim


def test_pytorchs_threads_are_as_before_once_a_cascade_is_closed(lenet_median_bundle):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Pipeline(lenet_median_bundle, part="classifier", threads=1) as bare, open_cascade("bf16", bare):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_only_shipped_weights_are_screened(make_bundle):
    with (
        Pipeline(make_bundle(purifier="cap"), part="classifier") as bare,
        pytest.raises(UsageError, match="classifier 'means' in fp32 has no cascade: only shipped weights in fp32 have"),
        open_cascade("bf16", bare),
    ):
        pass


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_only_float32_is_screened(precision: str, lenet_median_bundle):
    """What a cascade was validated for: int8 is off by more than bf16's margin."""
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        bare.manifest["precision"] = precision
        with pytest.raises(UsageError, match=rf"'lenet' in {precision} has no cascade: only shipped weights in fp32"):
            check_cascade("bf16", bare)


def test_more_than_a_pixel_has_no_cascade(lenet_median_bundle, some, tmp_path: Path):
    asked = Settings(pixels=2, cascade="bf16")
    with pytest.raises(UsageError, match=r"validated for one pixel, got 2\. Next: leave out --cascade, or --pixels 1"):
        attack_bundle(lenet_median_bundle, some, asked, protocol="transfer", records=tmp_path / "records")


@pytest.mark.parametrize("at_once", [False, True])
def test_where_nothing_compiles_it_goes_without(at_once: bool, lenet_median_bundle, monkeypatch, caplog):
    monkeypatch.undo()
    real = bfloat16.half_precision

    def fails(*_: object) -> torch.Tensor:
        raise RuntimeError("no C++ compiler\nand more")

    def instead(*given, compiled: bool, **more):
        if not compiled:
            return real(*given, **more)
        return fails() if at_once else fails

    monkeypatch.setattr(bfloat16, "half_precision", instead)
    images = sample().images[:70]
    with Pipeline(lenet_median_bundle, part="classifier") as bare, bfloat16.open_bfloat16(bare) as cheap:
        found, expected = cheap.predict(images), bare.predict(images)
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert [each.getMessage() for each in caplog.records if each.name == "pixelproof"] == [
        "PyTorch could not compile the cascade, which is slower as it is: no C++ compiler"
    ]


def test_a_missing_package_is_named(lenet_median_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    missing = pytest.raises(PixelproofError, match=r"needs torch, .*Next: pip install 'pixelproof\[export\]'")
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        with missing, open_cascade("bf16", bare):
            pytest.fail("opened")
        with open_cascade(None, bare):
            pass
