"""The PyTorch networks, their data and training, and the released weights.

Import rule: imports none of pixelproof's other folders; PyTorch only in the modules that define or train networks.
"""

from pixelproof.models.catalogue import (
    CLASSIFIERS,
    PURIFIERS,
    TRAINABLE,
    build_classifier,
    build_purifier,
    check_trainable,
    is_shipped,
    provenance,
    weights_path,
)
from pixelproof.models.data import CIFAR10_CLASSES

__all__ = [
    "CIFAR10_CLASSES",
    "CLASSIFIERS",
    "PURIFIERS",
    "TRAINABLE",
    "build_classifier",
    "build_purifier",
    "check_trainable",
    "is_shipped",
    "provenance",
    "weights_path",
]
