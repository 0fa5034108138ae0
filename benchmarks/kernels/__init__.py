"""What a generation on the GPU is made of, and how fast a whole attack's candidates go by.

Import rule: as for `benchmarks`.
"""

from pixelproof.benchmarks.kernels.measure import bench_kernels

__all__ = ["bench_kernels"]
