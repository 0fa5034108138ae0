"""Loads a bundle and runs it.

Import rule: imports numpy and, once a backend is chosen, that backend; none of pixelproof's other folders, never PyTorch.
"""
