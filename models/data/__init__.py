"""Data sets: CIFAR-10's official binary version, and the sample of it that is shipped. NumPy alone, never a pickle."""

from pixelproof.models.data.adversarial import adversarial_sample, write_adversarial_sample
from pixelproof.models.data.cifar10 import CIFAR10_CLASSES, ImageSet, data_sha256, holds_cifar10, load_cifar10
from pixelproof.models.data.sample import sample, training_sample

__all__ = [
    "CIFAR10_CLASSES",
    "ImageSet",
    "adversarial_sample",
    "data_sha256",
    "holds_cifar10",
    "load_cifar10",
    "sample",
    "training_sample",
    "write_adversarial_sample",
]
