"""The shipped classifiers in every precision: decisions kept, accuracy, D_suc, PL, size, speed, and engines.

Import rule: as for `benchmarks`.
"""

from pixelproof.benchmarks.precision.measure import bench_precision

__all__ = ["bench_precision"]
