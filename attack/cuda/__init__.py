"""Differential evolution that never leaves the GPU: the kernels of `attack/kernels` around a network on the device.

`DevicePredict` is such a network alone, for the searches that run on the CPU.

Import rule: the attack's own. CUDA packages are imported when a device is opened, and not before.
"""

from pixelproof.attack.cuda.device import open_device
from pixelproof.attack.cuda.networks import OnnxRuntimeNetwork, TensorRtNetwork, TorchNetwork
from pixelproof.attack.cuda.predict import DevicePredict
from pixelproof.attack.cuda.search import attack_on_device

__all__ = [
    "DevicePredict",
    "OnnxRuntimeNetwork",
    "TensorRtNetwork",
    "TorchNetwork",
    "attack_on_device",
    "open_device",
]
