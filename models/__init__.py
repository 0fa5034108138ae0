"""The PyTorch networks, their data and training, and the released weights.

Import rule: imports none of pixelproof's other folders; PyTorch only in the modules that define or train networks.
"""

from pixelproof.models.data import CIFAR10_CLASSES
from pixelproof.models.registry import (
    CLASSIFIERS,
    NETWORKS,
    PURIFIERS,
    TRAINABLE,
    build_classifier,
    build_purifier,
    check_trainable,
    is_shipped,
    provenance,
    weights_path,
)

__all__ = [
    "CIFAR10_CLASSES",
    "CLASSIFIERS",
    "NETWORKS",
    "PURIFIERS",
    "TRAINABLE",
    "build_classifier",
    "build_purifier",
    "check_trainable",
    "is_shipped",
    "provenance",
    "weights_path",
]
