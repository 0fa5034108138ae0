"""PyTorch or ONNX in, one fused graph in a bundle out.

Import rule: of pixelproof's other folders it imports models and runtime alone.
"""
