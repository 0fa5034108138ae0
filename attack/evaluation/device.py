"""Where an attack's arithmetic runs: `--attack-backend`, and the network that runs between the kernels on a GPU."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pixelproof.attack.evaluation.settings import STRONGEST
from pixelproof.deprecation import keyword_renamed
from pixelproof.errors import BackendError, PixelproofError, UsageError, unknown_name
from pixelproof.models import is_shipped
from pixelproof.runtime import Pipeline, read_bundle
from pixelproof.runtime.backends import BACKENDS, fault
from pixelproof.runtime.onnx_bytes import keep_outputs

if TYPE_CHECKING:
    from torch import nn

    from pixelproof.attack.cuda.device import Device
    from pixelproof.attack.cuda.networks import DeviceNetwork
    from pixelproof.attack.evaluation.victims import Victim

ATTACK_BACKENDS = ("auto", "cpu", "cuda")
_AUTOMATIC = ("de", STRONGEST)
TUNED_FROM = 20_000_000
"""Candidates of a search that is long enough for the compiler to time its choices: for ResNet-32 on an H200 that took
18 s, and saved 1.7 s a million candidates, of which early successes and repeats spare up to half."""
MARGIN = 0.25
"""In nats: 30 times the largest lead that float16 left a true class that had lost it (0.008, of 4,409 corners on LeNet
and ResNet-32, in PyTorch on the CPU)."""
ROWS = 3200  # candidates a batch


@keyword_renamed("screen", "cascade")
def open_attack_device(
    asked: str, method: str, bundles: Sequence[Path] = (), *, pixels: int = 1, cascade: str | None = None
) -> "AbstractContextManager[Device | None]":
    """The GPU that an attack by `method` runs on, to be closed; None for the CPU.

    Args:
        asked: one of `ATTACK_BACKENDS`; "auto" takes a GPU where one works.
        method: of the attack. `de` runs on a GPU from proposal to selection, and so does that part of `strongest`.
            `corners` and `levels` of one pixel are screened there, and exhaust nothing then: "auto" leaves them to the
            CPU, unless they are part of `strongest`.
        bundles: to be attacked; "auto" leaves to the CPU those that nothing here runs on the GPU.
        pixels: changed at most.
        cascade: the cheaper network that leaves out candidates on the CPU, if any.

    Raises:
        UsageError: an unknown backend, CUDA for a sweep that is not screened there, or a cascade beside CUDA.
        PixelproofError: CUDA was asked for by name and does not work here; the message says why.
    """
    if asked not in ATTACK_BACKENDS:
        raise unknown_name("attack backend", asked, ATTACK_BACKENDS, "choose one with --attack-backend NAME")
    if cascade is not None:
        _check_alone(cascade, asked)
        return nullcontext()
    if asked == "cuda" and method not in _AUTOMATIC and pixels > 1:
        raise UsageError(
            f"{method} of {pixels} pixels does not run on CUDA: of one pixel it is screened there, and de runs there "
            "whole. Next: --attack-backend cpu, or --method de"
        )
    if asked == "cpu" or (asked == "auto" and not (method in _AUTOMATIC and all(map(_runs_on_gpu, bundles)))):
        return nullcontext()
    from pixelproof.attack.cuda import open_device

    try:
        return open_device()
    except PixelproofError:
        if asked == "cuda":
            raise
        return nullcontext()


def _check_alone(cascade: str, asked: str) -> None:
    if asked == "cuda":
        raise UsageError(
            f"--cascade {cascade} runs on the CPU, and a GPU has a cascade of its own. "
            "Next: leave out --cascade, or --attack-backend cpu"
        )


def ran_on(method: str, device: "Device | None") -> str:
    """Where the search ran, in words; nothing for what runs on the CPU by default."""
    if method not in _AUTOMATIC:
        return "" if device is None else f"{method} of one pixel was screened on {device.name}, in half precision"
    return "de ran on the CPU" if device is None else f"de ran on {device.name}, in CUDA kernels"


def _runs_on_gpu(bundle: Path) -> bool:
    """Whether there is a network for it: PyTorch has the shipped ones, ONNX Runtime's CUDA provider runs any."""
    made_of = read_bundle(bundle).manifest
    classifier, purifier = made_of["classifier"], made_of["purifier"]
    known = is_shipped(classifier) and (purifier is None or is_shipped(purifier))
    return known or fault("cuda") is None


def device_network(
    deployed: Pipeline, purifier: "nn.Module | None", classifier: "nn.Module | None", candidates: int
) -> "DeviceNetwork":
    """The bundle's engine where that is what runs, else PyTorch in half precision, else ONNX Runtime.

    Args:
        deployed: the bundle as it was opened.
        purifier: its purifier in PyTorch; None where `deployed` is its bare classifier.
        classifier: its classifier in PyTorch; None for one that is not a shipped one, or behind such a purifier.
        candidates: how many it may be shown.

    Raises:
        BackendError: none of them runs here.
    """
    from pixelproof.attack.cuda import OnnxRuntimeNetwork, TensorRtNetwork, TorchNetwork
    from pixelproof.runtime.backends.tensorrt import TensorRtSession

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


def screened_on(device: "Device", victim: "Victim", size: tuple[int, int], images: int) -> "Victim":
    """The victim with its candidates screened on the GPU; what is in doubt and each success are the bundle's own.

    Args:
        device: the GPU.
        victim: its records are kept apart from those of searches that try every candidate.
        size: height and width of the images.
        images: how many are to be attacked.

    Raises:
        PixelproofError: its network does not run there, or there is too little memory.
    """
    from pixelproof.attack import Prefiltered
    from pixelproof.attack.cuda import DevicePredict

    candidates = images * size[0] * size[1] * 8  # the corners of the color cube
    cheap = DevicePredict(device, victim.on_device(candidates), size, ROWS)
    predict = Prefiltered(victim.predict, cheap, margin=MARGIN, batch_size=cheap.rows)
    return replace(victim, predict=predict, identity=f"{victim.identity}, screened on a GPU at {MARGIN} nats")
