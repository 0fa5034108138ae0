"""pixelproof: harden an image classifier against one-pixel attacks, and measure what still gets through."""

__version__ = "0.1.0"
