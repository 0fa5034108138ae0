"""Where an attack's arithmetic runs: `--attack-backend`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pixelproof.attack.evaluation.settings import STRONGEST
from pixelproof.errors import PixelproofError, UsageError, unknown_name
from pixelproof.models import is_shipped
from pixelproof.runtime import read_bundle
from pixelproof.runtime.backends import fault

if TYPE_CHECKING:
    from pixelproof.attack.cuda.device import Device

ATTACK_BACKENDS = ("auto", "cpu", "cuda")
_AUTOMATIC = ("de", STRONGEST)


def open_attack_device(
    asked: str, method: str, bundles: Sequence[Path] = (), *, pixels: int = 1, screen: str | None = None
) -> "AbstractContextManager[Device | None]":
    """The GPU that an attack by `method` runs on, to be closed; None for the CPU.

    Args:
        asked: one of `ATTACK_BACKENDS`; "auto" takes a GPU where one works.
        method: of the attack. `de` runs on a GPU from proposal to selection, and so does that part of `strongest`.
            `corners` and `levels` of one pixel are screened there, and exhaust nothing then: "auto" leaves them to the
            CPU, unless they are part of `strongest`.
        bundles: to be attacked; "auto" leaves to the CPU those that nothing here runs on the GPU.
        pixels: changed at most.
        screen: the network that screens the candidates on the CPU, if any.

    Raises:
        UsageError: an unknown backend, CUDA for a sweep that is not screened there, or a screen beside CUDA.
        PixelproofError: CUDA was asked for by name and does not work here; the message says why.
    """
    if asked not in ATTACK_BACKENDS:
        raise unknown_name("attack backend", asked, ATTACK_BACKENDS, "choose one with --attack-backend NAME")
    if screen is not None:
        _check_alone(screen, asked)
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


def _check_alone(screen: str, asked: str) -> None:
    if asked == "cuda":
        raise UsageError(
            f"--screen {screen} runs on the CPU, and a GPU screens by itself. "
            "Next: leave out --screen, or --attack-backend cpu"
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
