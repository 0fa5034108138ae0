"""The defense benchmark: what one-pixel attacks do to a bundle, transferred and adaptive."""

from pixelproof.benchmarks.defense.measure import bench_defense, measure_bundle, merge_results

__all__ = ["bench_defense", "measure_bundle", "merge_results"]
