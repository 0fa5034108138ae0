"""A PyTorch or ONNX classifier in, a bundle with a purifier and the classifier in one ONNX graph out.

Import rule: of pixelproof's other folders it imports models and runtime alone. Importing it brings NumPy; PyTorch and
onnx come in when a classifier is exported.
"""

from pixelproof.export.bundle import export_bundle

__all__ = ["export_bundle"]
