"""Decisions in lower precisions, compared on a test set of one's own."""

from pathlib import Path

import pytest

from pixelproof.benchmarks.precision import bench_precision
from pixelproof.errors import UsageError
from pixelproof.export import decisions as measuring
from pixelproof.export import export_bundle
from pixelproof.models.data import adversarial_sample, sample
from pixelproof.runtime import Pipeline
from pixelproof.statistics import Share


def test_every_row_is_what_its_own_graphs_decide(tmp_path: Path, monkeypatch):
    test, asked = sample().take(slice(60)), []
    decide = measuring.decide
    monkeypatch.setattr(
        measuring, "decide", lambda bundle, images, **more: asked.append(len(images)) or decide(bundle, images, **more)
    )
    results = bench_precision(["lenet"], purifier="median", test=test, rounds=1, threads=1)
    assert [row.precision for row in results.rows] == ["fp32", "fp16", "int8", "int8"]
    assert [row.target for row in results.rows] == ["both", "both", "cpu", "tensorrt"]
    assert {row.images for row in results.rows} == {60}
    assert results.conditions.data == "CIFAR-10, 60 test images"
    assert asked.count(60) == 4  # each precision once
    full, *lower = results.rows
    assert (full.agreement, full.pipeline_agreement, full.times_faster) == (None, None, 1)
    assert all(0.95 <= row.agreement <= 1 and 0.95 <= row.pipeline_agreement <= 1 for row in lower)

    export_bundle("lenet", tmp_path / "int8", purifier="median", precision="int8", max_accuracy_drop=2)
    export_bundle("lenet", tmp_path / "fp32", purifier="median")
    with Pipeline(tmp_path / "int8", part="classifier") as bare, Pipeline(tmp_path / "int8") as whole:
        row, labels = lower[1], test.labels
        seen, seen_purified = bare(test.images).labels, whole(test.images).labels
        assert (row.accuracy, row.pipeline_accuracy) == ((seen == labels).mean(), (seen_purified == labels).mean())
        assert row.pl == (seen_purified != labels)[seen == labels].mean()
        with Pipeline(tmp_path / "fp32", part="classifier") as full_classifier:
            assert row.agreement == (full_classifier(test.images).labels == seen).mean()
        attacked = adversarial_sample("lenet", bare.manifest["classifier"]["weights_sha256"])
        fooled = bare(attacked.images).labels != attacked.labels
        undone = (whole(attacked.images).labels == attacked.labels) & fooled
        assert row.d_suc == Share(int(undone.sum()), int(fooled.sum()))


def test_a_measurement_without_a_purifier_is_refused_at_once(monkeypatch):
    monkeypatch.setattr("pixelproof.export.export_bundle", lambda *_, **__: pytest.fail("exported"))
    with pytest.raises(UsageError, match=r"without a purifier.*Next: pixelproof bench precision --purifier gated"):
        bench_precision(["lenet"], purifier="none")
