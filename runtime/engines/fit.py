"""Whether an engine fits the bundle and the machine: an engine is made for one TensorRT and, mostly, one GPU."""

import hashlib
from dataclasses import dataclass

from pixelproof.errors import BackendError, PixelproofError, quote
from pixelproof.gpu import Gpu
from pixelproof.runtime.bundle import Bundle
from pixelproof.runtime.engines.flavor import PORTABLE, Flavor
from pixelproof.runtime.engines.sidecar import Engine, read_engine


@dataclass(frozen=True)
class Machine:
    """What an engine has to fit.

    Attributes:
        flavor: "tensorrt" or "tensorrt-rtx", and `version` its package's.
        capability: the GPU's compute capability, such as "9.0".
        gpu: its name.
        driver_cuda: the newest CUDA version that its driver knows, such as "13.0".
    """

    flavor: str
    version: str
    capability: str
    gpu: str
    driver_cuda: str

    @classmethod
    def here(cls, flavor: Flavor, gpu: Gpu) -> "Machine":
        """This one."""
        return cls(flavor.name, flavor.version, ".".join(map(str, gpu.capability)), gpu.name, gpu.cuda)


def misfits(engine: Engine, bundle: Bundle, machine: Machine) -> list[str]:
    """Each thing in the engine's sidecar that the bundle or the machine contradicts, in words; empty where it fits."""
    built = engine.sidecar
    graph = bundle.files.get(f"{engine.part}.onnx", b"")
    found = [
        ("TensorRT flavor", built["flavour"], machine.flavor),
        ("TensorRT version", built["version"], machine.version),
        ("precision", built["precision"], bundle.manifest["precision"]),
        ("ONNX SHA-256", built["onnx_sha256"], hashlib.sha256(graph).hexdigest()),
    ]
    if built["compute_capability"] != PORTABLE:
        found.append(("compute capability", built["compute_capability"], machine.capability))
    if built["gpu"] is not None:
        found.append(("GPU", built["gpu"], machine.gpu))
    told = [f"{what}: built with {_short(was)}, and here is {_short(here)}" for what, was, here in found if was != here]
    if built["driver_cuda"] is not None and _numbers(built["driver_cuda"]) > _numbers(machine.driver_cuda):
        told.append(f"driver: built with one for CUDA {built['driver_cuda']}, and here is {machine.driver_cuda}")
    return told


def engine_names(bundle: Bundle, part: str, flavor: str) -> list[str]:
    """The bundle's engines of a part and flavor, those for one GPU before portable ones."""
    names = [name for name in bundle.engines if name.startswith(f"{part}.{flavor}.")]
    return sorted(names, key=lambda name: (PORTABLE in name, name))


def choose_engine(bundle: Bundle, part: str, machine: Machine) -> Engine:
    """The engine to run.

    Raises:
        BundleError: one that is damaged.
        BackendError: there is none, or none fits; with each field that differs.
    """
    refused: list[str] = []
    for name in engine_names(bundle, part, machine.flavor):
        engine = read_engine(bundle, name)
        told = misfits(engine, bundle, machine)
        if not told:
            return engine
        refused.append(f"engine '{engine.name}' does not fit ({'; '.join(told)})")
    command = f"pixelproof build-engine {quote(bundle.path)}"
    if refused:
        raise BackendError(f"{', '.join(refused)}. Next: {command} --rebuild")
    raise no_engine(bundle, part, machine.flavor)


def no_engine(bundle: Bundle, part: str, flavor: str) -> PixelproofError:
    """An error for a bundle with no engine of a flavor for a part."""
    part_option = "" if part == "pipeline" else f" --part {part}"
    return BackendError(
        f"bundle '{bundle.path}' has no {flavor} engine of its {part}. "
        f"Next: pixelproof build-engine {quote(bundle.path)} --flavor {flavor}{part_option}"
    )


def _short(value: str) -> str:
    return f"{value[:12]}..." if len(value) == 64 else f"'{value}'"


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")]
