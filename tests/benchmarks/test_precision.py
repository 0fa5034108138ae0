"""Decisions in lower precisions, compared on a test set of one's own."""

from pixelproof.benchmarks.precision import bench_precision
from pixelproof.models.data import sample


def test_decisions_are_compared_on_the_images_given():
    results = bench_precision(["lenet"], purifier="median", test=sample().take(slice(60)), rounds=1, threads=1)
    assert [row.precision for row in results.rows] == ["fp32", "fp16", "int8", "int8"]
    assert {row.images for row in results.rows} == {60}
    assert all(row.agreement is None or row.agreement >= 0.95 for row in results.rows)
    assert results.conditions.data == "CIFAR-10, 60 test images"
