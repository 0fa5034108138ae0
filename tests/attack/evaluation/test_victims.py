"""What is attacked answers as the bundle does, and the attacker ranks candidates by what he may know."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.evaluation import known, victims
from pixelproof.attack.evaluation.searches import Task, settings_of
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.attack.methods.ranking import SweepRanking
from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.export.purifiers import Purifier
from pixelproof.models import weights_path
from pixelproof.models.data import sample
from pixelproof.models.purifiers.median import Median
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Callable[[Path], tuple[Pipeline, Pipeline]]:
    """The whole of a bundle and its bare classifier."""

    def open_(bundle: Path) -> tuple[Pipeline, Pipeline]:
        both = Pipeline(bundle), Pipeline(bundle, part="classifier")
        for pipeline in both:
            request.addfinalizer(pipeline.close)
        return both

    return open_


def attacked_images() -> np.ndarray:
    """Real images, each as it is and with a few pixels changed."""
    images = np.repeat(sample().images[:16], 4, axis=0)
    generator = np.random.default_rng(5)
    for image in images[1::2]:
        for row, column in generator.integers(0, 32, (3, 2)):
            image[row, column] = generator.choice([0, 255], 3)
    return images


def test_either_victim_answers_as_its_part_of_the_bundle_bit_for_bit(lenet_median_bundle: Path, opened):
    images = attacked_images()
    pipeline, bare = opened(lenet_median_bundle)
    np.testing.assert_array_equal(bare_classifier(bare).predict(images), bare.predict(images))
    np.testing.assert_array_equal(purified_pipeline(pipeline, bare).predict(images), pipeline.predict(images))


def test_a_purifier_of_fractions_of_levels_is_asked_as_a_whole(make_bundle, opened, monkeypatch: pytest.MonkeyPatch):
    """What a classifier behind the autoencoder sees is not its uint8 output: nothing may be classified from that."""
    for module in (victims, known):  # it is but a stand-in
        monkeypatch.setattr(module, "is_shipped", lambda part: part["name"] == "autoencoder")
    pipeline, bare = opened(make_bundle(purifier="autoencoder", size=(32, 32)))
    victim = purified_pipeline(pipeline, bare)
    assert victim.predict == pipeline.predict
    assert victim.passes is None


def test_the_record_of_what_was_attacked_is_the_graphs_hash(lenet_median_bundle: Path, opened):
    pipeline, bare = opened(lenet_median_bundle)
    classifier, whole = (
        graph_sha256((lenet_median_bundle / name).read_bytes()) for name in ("classifier.onnx", "pipeline.onnx")
    )
    assert (bare_classifier(bare).identity, purified_pipeline(pipeline, bare).identity) == (classifier, whole)
    assert classifier != whole


def test_what_another_provider_says_is_kept_apart(lenet_median_bundle: Path, opened):
    """It may round a decision the other way; records made on the CPU do not speak for it."""
    pipeline, bare = opened(lenet_median_bundle)
    here = bare_classifier(bare).identity, purified_pipeline(pipeline, bare).identity
    pipeline.provider = bare.provider = "tensorrt 10.16.1"
    there = bare_classifier(bare).identity, purified_pipeline(pipeline, bare).identity
    assert there == tuple(f"{identity}, on tensorrt 10.16.1" for identity in here)


def test_the_colors_told_are_let_pass(lenet_median_bundle: Path, opened):
    pipeline, bare = opened(lenet_median_bundle)
    passes = purified_pipeline(pipeline, bare).passes
    assert passes is not None
    images = sample().images[:4]
    colors = passes(images)
    assert (colors.shape, colors.dtype) == ((4, 32, 32, 8, 3), np.uint8)
    for row, column in np.random.default_rng(1).integers(0, 32, (20, 2)):
        painted = images.copy()
        painted[:, row, column] = colors[:, row, column, 3]
        np.testing.assert_array_equal(pipeline.purify(painted)[:, row, column], painted[:, row, column])


def with_other_weights(bundle: Path, part: str, folder: Path) -> Path:
    """A copy of `bundle` whose manifest names other weights."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest[part]["weights_sha256"] = "0" * 64
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def test_other_weights_are_not_ranked_by_the_shipped_ones_gradient(lenet_median_bundle: Path, tmp_path: Path, opened):
    pipeline, bare = opened(with_other_weights(lenet_median_bundle, "classifier", tmp_path / "other"))
    for victim in (bare_classifier(bare), purified_pipeline(pipeline, bare)):
        assert isinstance(victim.order, SweepRanking)


def test_a_purifier_of_other_weights_cannot_be_adapted_to(tmp_path: Path, opened):
    export_bundle("lenet", tmp_path / "lenet-gated")
    pipeline, bare = opened(with_other_weights(tmp_path / "lenet-gated", "purifier", tmp_path / "other"))
    with pytest.raises(UsageError, match=r"'gated' has other weights than those shipped .* Next: pixelproof export"):
        purified_pipeline(pipeline, bare)


def test_a_shipped_networks_candidates_are_ranked_by_its_gradient(lenet_median_bundle: Path, opened, some_real):
    pipeline, bare = opened(lenet_median_bundle)
    data = some_real.images.take(slice(1, 5))
    found = {}
    for name, victim in {"gradient": bare_classifier(bare), "none": bare_classifier(bare)}.items():
        assert not isinstance(victim.order, SweepRanking)
        order = victim.order if name == "gradient" else None
        found[name] = attack(victim.predict, data.images, data.labels, order=order, batch_size=256)
        assert found[name].success.all()
    assert 20 * found["gradient"].queries.sum() < found["none"].queries.sum()
    assert not isinstance(purified_pipeline(pipeline, bare).order, SweepRanking)


def test_a_network_of_ones_own_is_ranked_by_queries_of_what_is_attacked(stand_in: Path, opened, monkeypatch):
    def refuse(*_: object) -> None:
        pytest.fail("a network that is not shipped was built")

    monkeypatch.setattr("pixelproof.attack.evaluation.victims.build_classifier", refuse)
    pipeline, bare = opened(stand_in)
    for victim in (bare_classifier(bare), purified_pipeline(pipeline, bare)):
        assert isinstance(victim.order, SweepRanking)
        assert victim.order._predict == victim.predict


@pytest.mark.parametrize("name", ["median", "gated"])
def test_windows_of_a_shipped_purifier_give_the_deployed_ones_bytes(name: str, opened, tmp_path: Path):
    export_bundle("lenet", tmp_path / "bundle", purifier=name)
    pipeline, bare = opened(tmp_path / "bundle")
    of_changes = purified_pipeline(pipeline, bare).predict.predict_changes  # type: ignore[attr-defined]
    random, images = np.random.default_rng(7), sample().images
    which, positions = random.integers(0, 200, 1500), random.integers(0, 1024, (1500, 1))
    positions[:62, 0] = [*range(32), *range(992, 1022)]  # borders and corners of the image
    colors = random.choice([0, 255], (1500, 1, 3)).astype(np.uint8)
    drawn = images[which]
    drawn.reshape(1500, -1, 3)[np.arange(1500), positions[:, 0]] = colors[:, 0]
    told, expected = of_changes(images, which, positions, colors), pipeline.predict(drawn)
    np.testing.assert_allclose(told, expected, rtol=0, atol=2e-6)  # LeNet too goes by windows: the last bits differ


def test_windows_that_differ_from_what_is_deployed_are_not_used(lenet_median_bundle: Path, opened, monkeypatch):
    other = Purifier("median", None, Median(tolerance=20.0))
    monkeypatch.setattr("pixelproof.export.purifiers.open_purifier", lambda _: other)
    pipeline, bare = opened(lenet_median_bundle)
    assert purified_pipeline(pipeline, bare).predict.takes_changes is False  # type: ignore[attr-defined]


def test_a_network_by_windows_answers_as_the_whole(opened, tmp_path: Path):
    """PureCNN's early layers are worth computing by windows, behind a purifier, too; no decision hangs on it."""
    export_bundle("pure_cnn", tmp_path / "bundle")
    pipeline, bare = opened(tmp_path / "bundle")
    random, images = np.random.default_rng(7), np.ascontiguousarray(sample().images[::25])
    which, positions = random.integers(0, len(images), 200), random.integers(0, 1024, (200, 1))
    colors = random.choice([0, 255], (200, 1, 3)).astype(np.uint8)
    drawn = images[which]
    drawn.reshape(200, -1, 3)[np.arange(200), positions[:, 0]] = colors[:, 0]
    unpurified = bare_classifier(bare)
    checked = unpurified.predict.partly  # type: ignore[attr-defined]  # those of the check before use
    for victim, whole in ((unpurified, bare), (purified_pipeline(pipeline, bare), pipeline)):
        told = victim.predict.predict_changes(images, which, positions, colors)  # type: ignore[attr-defined]
        expected = whole.predict(drawn)
        np.testing.assert_allclose(told, expected, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(told.argmax(1), expected.argmax(1))
    assert unpurified.predict.partly > checked > 200  # type: ignore[attr-defined]


def test_what_a_sweep_ranks_has_records_of_its_own(lenet_median_bundle: Path, opened, tmp_path: Path):
    """The same network, known as a shipped one or not: a gradient finds others first than a sweep does."""
    export_bundle("lenet", tmp_path / "own", purifier="median", weights=weights_path("lenet"))
    for victim_of in (lambda whole, bare: bare_classifier(bare), purified_pipeline):
        known_one, own = (victim_of(*opened(bundle)) for bundle in (lenet_median_bundle, tmp_path / "own"))
        assert known_one.identity == own.identity
        for method, alike in (("corners", False), ("de", True)):
            task = Task("search", method, pixels=1, seed=0)
            assert (settings_of(task, known_one, "sample") == settings_of(task, own, "sample")) is alike
