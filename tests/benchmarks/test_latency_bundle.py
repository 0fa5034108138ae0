"""A bundle timed for real in ONNX Runtime, and the notes on what could not be timed."""

import shutil
import sys

import numpy as np
import pytest

from pixelproof import models
from pixelproof.benchmarks import latency_ways
from pixelproof.benchmarks.latency import bench_latency
from pixelproof.benchmarks.latency_ways import (
    Setting,
    bare_classifier,
    compiled_classifier,
    eager_classifier,
    eager_pytorch,
    idle_thread_cautions,
    peak_memory,
)
from pixelproof.errors import UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import read_bundle

TWO, FUSED, BARE = "ONNX, two sessions", "ONNX, fused graph", "ONNX, bare classifier"


def test_every_way_is_timed_at_every_batch_size(make_bundle):
    stages = []
    results = bench_latency(make_bundle(), batches=[1, 3], rounds=2, progress=lambda *step: stages.append(step))
    assert [(row.name, row.batch) for row in results.rows] == [(name, n) for n in (1, 3) for name in (TWO, FUSED, BARE)]
    assert all(row.provider == "CPUExecutionProvider" for row in results.rows)
    assert all(0 < row.p50_ms <= row.p90_ms <= row.p99_ms for row in results.rows)
    assert [row.ratio for row in results.rows if row.name == BARE] == [1, 1]
    assert any("eager pytorch" in note and "'means' is not one that is shipped" in note for note in results.notes)
    assert stages[-1] == ("peak memory", 3, 3)
    assert results.subject == "means behind gated, fp32"
    assert "tiled to 4x6" in results.conditions.data


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_peak_memory_is_that_of_a_process_of_its_own(make_bundle):
    bundle = make_bundle(size=(64, 64))
    ballast = np.ones(2**28, np.uint8)  # 256 MiB here, which must not count there
    peaks = peak_memory(bare_classifier, Setting(bundle, read_bundle(bundle).manifest, "cpu", 1), [1024, 1])
    assert list(peaks) == [1, 1024]
    assert 20 < peaks[1] < ballast.nbytes / 2**20
    assert peaks[1024] > peaks[1] + 1024 * 64 * 64 * 3 / 2**20  # the batch itself


def test_without_a_purifier_only_the_classifier_is_timed(make_bundle):
    results = bench_latency(make_bundle(purifier=None), batches=[1], rounds=1)
    assert [row.name for row in results.rows] == [BARE]
    assert sum("because the bundle has no purifier" in note for note in results.notes) == 3
    assert results.subject == "means with no purifier, fp32"


@pytest.fixture
def shipped(make_bundle, monkeypatch):
    """A bundle whose manifest names shipped networks, which here have untrained weights."""
    torch = pytest.importorskip("torch", reason="eager PyTorch needs it")
    torch.manual_seed(0)
    networks = models.build_purifier("median"), models.build_classifier("lenet", trained=False)
    monkeypatch.setattr(models, "build_purifier", lambda name: networks[0])
    monkeypatch.setattr(models, "build_classifier", lambda name: networks[1])
    monkeypatch.setattr(latency_ways, "is_shipped", lambda part: True)
    bundle = make_bundle(purifier="median", classifier={"name": "lenet", "source": "shipped"})
    return Setting(bundle, read_bundle(bundle).manifest, "cpu", 1), networks


def test_eager_pytorch_runs_purifier_and_classifier(shipped):
    import torch

    setting, (purifier, classifier) = shipped
    images = sample().images[:4].copy()
    images[:, 10, 10] = 255, 0, 255
    before = torch.get_num_threads()
    with eager_pytorch(setting) as contender:
        assert torch.get_num_threads() == 1
        probabilities, purified = contender.run(images)
    assert torch.get_num_threads() == before
    expected = purifier(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)))
    assert np.array_equal(purified, expected.numpy().transpose(0, 2, 3, 1))
    assert not np.array_equal(purified, images)
    assert probabilities == pytest.approx(classifier(expected / 255).softmax(1).detach().numpy())


def test_a_bundle_of_other_weights_is_not_passed_off_as_the_shipped_network(make_bundle):
    classifier = {"name": "lenet", "source": "shipped", "weights_sha256": "0" * 64}
    results = bench_latency(make_bundle(classifier=classifier), batches=[1], rounds=1)
    assert any("'lenet' is not one that is shipped with this version" in note for note in results.notes)


def test_threads_that_spin_are_noticed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", np)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert idle_thread_cautions()
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert not idle_thread_cautions()


def test_another_bundle_is_timed_beside(make_bundle):
    other = make_bundle("other", precision="int8")
    results = bench_latency(make_bundle(), batches=[2], rounds=1, beside=[other, make_bundle("third")])
    names = [TWO, FUSED, BARE]
    names += [f"{way}, {name}" for name in ("int8", "third") for way in (FUSED, BARE)]
    assert [row.name for row in results.rows] == names
    with pytest.raises(UsageError, match=r"takes 8x8 images, and .* 4x6"):
        bench_latency(make_bundle("fourth"), beside=[make_bundle("fifth", size=(8, 8))])


def test_eager_pytorch_runs_the_classifier_alone(shipped):
    setting, (_, classifier) = shipped
    images = sample().images[:4]
    with eager_classifier(setting) as contender:
        probabilities = contender.run(images)
    import torch

    expected = classifier(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)) / 255).softmax(1)
    assert probabilities == pytest.approx(expected.detach().numpy(), abs=1e-6)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_pytorch_gives_the_same(shipped):
    setting, _ = shipped
    images = sample().images[:2]
    with compiled_classifier(setting) as compiled, eager_classifier(setting) as eager:
        assert compiled.run(images) == pytest.approx(eager.run(images), abs=1e-5)
