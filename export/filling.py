"""The old home of `Calibration`, which works for one more release."""

from pixelproof.deprecation import moved

__getattr__ = moved(__name__, {"Calibration": "pixelproof.export.own_images"})
