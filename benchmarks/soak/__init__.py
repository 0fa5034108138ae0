"""The same work over and over: whether memory stays flat, and how long a cold process takes.

Import rule: as for `benchmarks`.
"""

from pixelproof.benchmarks.soak.measure import bench_soak

__all__ = ["bench_soak"]
