"""Purifiers beside the usual input transformations: what each undoes, costs, and still lets through."""

from pixelproof.benchmarks.techniques.measure import TechniqueSettings, bench_techniques
from pixelproof.benchmarks.techniques.transforms import TRANSFORMS

__all__ = ["TRANSFORMS", "TechniqueSettings", "bench_techniques"]
