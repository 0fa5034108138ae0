"""TensorRT engines from a bundle's graphs.

Import rule: as for `export`; TensorRT itself is imported when an engine is built, and not before.
"""

from pixelproof.export.engines.build import build_engine

__all__ = ["build_engine"]
