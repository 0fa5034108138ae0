"""Differential evolution that never leaves the GPU: the kernels of `attack/kernels` around a network on the device.

`DevicePredict` is such a network alone, for the searches that run on the CPU.

Import rule: the attack's own. CUDA packages are imported when a device is opened, and not before.
"""

from pixelproof.attack.cuda.onnxruntime_network import OnnxRuntimeNetwork
from pixelproof.attack.cuda.predict import DevicePredict
from pixelproof.attack.cuda.pycuda_device import open_device
from pixelproof.attack.cuda.search import attack_on_device
from pixelproof.attack.cuda.tensorrt_network import TensorRtNetwork
from pixelproof.attack.cuda.torch_network import TorchNetwork

__all__ = [
    "DevicePredict",
    "OnnxRuntimeNetwork",
    "TensorRtNetwork",
    "TorchNetwork",
    "attack_on_device",
    "open_device",
]
