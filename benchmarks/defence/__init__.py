"""The defence benchmark: what one-pixel attacks do to a bundle, transferred and adaptive."""

from pixelproof.benchmarks.defence.attack_run import attack_bundle
from pixelproof.benchmarks.defence.measure import bench_defence, measure_bundle, merge_results
from pixelproof.benchmarks.defence.settings import DataChoice, Settings

__all__ = ["DataChoice", "Settings", "attack_bundle", "bench_defence", "measure_bundle", "merge_results"]
