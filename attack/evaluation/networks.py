"""The network of a search on the GPU: what is deployed, in the fastest form that this machine has."""

from typing import TYPE_CHECKING

from pixelproof.attack.cuda import OnnxRuntimeNetwork, TensorRtNetwork, TorchNetwork
from pixelproof.attack.cuda.network import DeviceNetwork
from pixelproof.errors import BackendError
from pixelproof.runtime import Pipeline
from pixelproof.runtime.backends import BACKENDS, fault
from pixelproof.runtime.backends.tensorrt import TensorRtSession
from pixelproof.runtime.onnx_bytes import keep_outputs

if TYPE_CHECKING:
    from torch import nn


TUNED_FROM = 20_000_000
"""Candidates of a search that is long enough for the compiler to time its choices: for ResNet-32 on an H200 that took
18 s, and saved 1.7 s a million candidates, of which early successes and repeats spare up to half."""


def device_network(
    deployed: Pipeline, purifier: "nn.Module | None", classifier: "nn.Module | None", candidates: int
) -> DeviceNetwork:
    """The bundle's engine where that is what runs, else PyTorch in half precision, else ONNX Runtime.

    Args:
        deployed: the bundle as it was opened.
        purifier: its purifier in PyTorch; None where `deployed` is its bare classifier.
        classifier: its classifier in PyTorch; None for one that is not a shipped one, or behind such a purifier.
        candidates: how many it may be shown.

    Raises:
        BackendError: none of them runs here.
    """
    classes = len(deployed.class_names)
    session = deployed.session
    if BACKENDS[deployed.backend].runs_engines and isinstance(session, TensorRtSession):
        return TensorRtNetwork(session.engine, classes)
    if classifier is not None and _pytorch_sees_a_gpu():
        from pixelproof.attack.evaluation.half_precision import can_compile, half_precision

        tuned = candidates >= TUNED_FROM and can_compile()
        classify = half_precision(classifier, purifier, "cuda", compiled=can_compile(), tuned=tuned)
        description = f"PyTorch, classifier in float16{', tuned' if tuned else ''}"
        return TorchNetwork(classify, classes, description=description)
    if (why := fault("cuda")) is None:
        return OnnxRuntimeNetwork(keep_outputs(deployed.graph, {"probabilities"}), classes)
    raise BackendError(
        f"no network runs on the GPU: PyTorch sees none or has not this network, and ONNX Runtime: "
        f"{why.reason}. Next: pixelproof doctor, or --attack-backend cpu"
    )


def _pytorch_sees_a_gpu() -> bool:
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return bool(torch.cuda.is_available())
