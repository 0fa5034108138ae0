"""Run a bundle: read and check its folder, purify and classify images with it.

Import rule: this folder imports none of the other folders and never PyTorch or onnx. Importing it brings NumPy
alone; ONNX Runtime comes in when a pipeline is opened, Pillow when an image file is read.
"""

from pixelproof.runtime.bundle import Bundle, read_bundle
from pixelproof.runtime.pipeline import Pipeline, Result

__all__ = ["Bundle", "Pipeline", "Result", "read_bundle"]
