"""TensorRT engines from a bundle's graphs.

Import rule: as for `export`; TensorRT itself is imported when an engine is built, and not before.
"""

from pixelproof.export.engines.build import build_engine
from pixelproof.export.engines.rebuild import rebuild_engines

__all__ = ["build_engine", "rebuild_engines"]
