"""One-pixel attacks against any callable.

Import rule: knows a classifier only as a callable, uint8 images in, probabilities out; imports none of pixelproof's
other folders.
"""
