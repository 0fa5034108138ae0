"""A bundle's classifier, cut so that candidates of a search cost only what their changed pixel can move."""

from pixelproof.attack.evaluation.windows.staged import incremental

__all__ = ["incremental"]
