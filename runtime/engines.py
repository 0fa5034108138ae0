"""A bundle's TensorRT engines: what was built, whether it is undamaged, and whether it fits this machine.

An engine is made for one TensorRT and, mostly, one GPU. A sidecar, JSON beside it, holds what it was built for. Both
are read together and compared before TensorRT sees a byte of them.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from pixelproof.errors import BackendError, BundleError, UsageError, quote
from pixelproof.gpu import Gpu
from pixelproof.runtime.bundle import Bundle, inside, read_sized
from pixelproof.runtime.distributions import PORTABLE, Distribution
from pixelproof.runtime.manifest import Fields, absent_or, check_fields, is_count, is_sha256, is_text, parse_json

ENGINES = "engines"
"""The folder, in a bundle, of its engines."""


@dataclass(frozen=True, eq=False)
class Engine:
    """An engine in memory: `content` is the very bytes that were compared with the manifest and the sidecar.

    Attributes:
        name: its file's, in the bundle's `engines`.
        content: what TensorRT loads. It is code: whoever wrote it, runs.
        sidecar: what was noted when it was built.
    """

    name: str
    content: bytes
    sidecar: dict[str, Any]

    @property
    def part(self) -> str:
        """ "pipeline" or "classifier"."""
        return self.name.partition(".")[0]

    @property
    def profile(self) -> tuple[int, int, int]:
        """The smallest, the usual and the largest batch, in images."""
        smallest, usual, largest = self.sidecar["profile"]
        return smallest, usual, largest


@dataclass(frozen=True)
class Machine:
    """What an engine has to fit.

    Attributes:
        flavor: the distribution, "tensorrt" or "tensorrt-rtx".
        version: its package's.
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
    def here(cls, distribution: Distribution, gpu: Gpu) -> "Machine":
        """This one."""
        capability = ".".join(map(str, gpu.capability))
        return cls(distribution.name, distribution.version, capability, gpu.name, gpu.cuda)


def engine_name(part: str, flavor: str, built_for: str) -> str:
    """The file's name; `built_for`: a compute capability, or "portable"."""
    return f"{part}.{flavor}.{built_for}.engine"


def engine_names(bundle: Bundle, part: str, flavor: str) -> list[str]:
    """The bundle's engines of a part and distribution, those for one GPU before portable ones."""
    names = [name for name in bundle.engines if name.startswith(f"{part}.{flavor}.")]
    return sorted(names, key=lambda name: (PORTABLE in name, name))


def read_engine(bundle: Bundle, name: str) -> Engine:
    """The engine called `name` of a bundle.

    Raises:
        UsageError: the bundle lists no such engine.
        BundleError: engine or sidecar are missing, damaged, not a pair, or reached through a link.
    """
    listed = bundle.engines
    if name not in listed:
        there = ", ".join(listed) or "none"
        remedy = "--engine NAME" if listed else f"pixelproof build-engine {quote(bundle.path)}"
        raise UsageError(f"bundle '{bundle.path}' has no engine '{name}'; there are: {there}. Next: {remedy}")
    for file in (name, _sidecar_name(name)):
        if not (bundle.path / ENGINES / file).exists():
            raise _unfit(bundle, name, f"'{ENGINES}/{file}' is missing")
    sidecar = _read_sidecar(bundle, name)
    path = inside(bundle.path, f"{ENGINES}/{name}")
    content = read_sized(path, sidecar["nbytes"], "it", lambda what: _unfit(bundle, name, what))
    digest = hashlib.sha256(content).hexdigest()
    for where, expected in (("bundle.json", listed[name]), ("its sidecar", sidecar["engine_sha256"])):
        if digest != expected:
            raise _unfit(bundle, name, f"{where} says SHA-256 {expected[:12]}..., and it has {digest[:12]}...")
    return Engine(name, content, sidecar)


def noted_profile(bundle: Bundle, name: str) -> tuple[int, int, int] | None:
    """The profile in an engine's sidecar, whatever became of the engine; None where the sidecar states none."""
    try:
        return Engine(name, b"", _read_sidecar(bundle, name)).profile
    except (BundleError, OSError):
        return None


def incompatibilities(engine: Engine, bundle: Bundle, machine: Machine) -> list[str]:
    """Each thing in the engine's sidecar that the bundle or the machine contradicts, in words; empty where it fits."""
    built = engine.sidecar
    graph = bundle.files.get(f"{engine.part}.onnx", b"")
    compared = [
        ("TensorRT distribution", built["flavour"], machine.flavor),
        ("TensorRT version", built["version"], machine.version),
        ("precision", built["precision"], bundle.manifest["precision"]),
        ("ONNX SHA-256", built["onnx_sha256"], hashlib.sha256(graph).hexdigest()),
    ]
    if built["compute_capability"] != PORTABLE:
        compared.append(("compute capability", built["compute_capability"], machine.capability))
    if built["gpu"] is not None:
        compared.append(("GPU", built["gpu"], machine.gpu))
    found = [
        f"{what}: built with {_short(was)}, and here is {_short(here)}" for what, was, here in compared if was != here
    ]
    if built["driver_cuda"] is not None and _numbers(built["driver_cuda"]) > _numbers(machine.driver_cuda):
        found.append(f"driver: built with one for CUDA {built['driver_cuda']}, and here is {machine.driver_cuda}")
    return found


def choose_engine(bundle: Bundle, part: str, machine: Machine) -> Engine:
    """The engine to run.

    Raises:
        BundleError: one that is damaged.
        BackendError: there is none, or none fits; with each field that differs.
    """
    refused: list[str] = []
    for name in engine_names(bundle, part, machine.flavor):
        engine = read_engine(bundle, name)
        found = incompatibilities(engine, bundle, machine)
        if not found:
            return engine
        refused.append(f"engine '{engine.name}' does not fit ({'; '.join(found)})")
    if refused:
        raise BackendError(f"{', '.join(refused)}. Next: pixelproof build-engine {quote(bundle.path)} --rebuild")
    raise no_engine(bundle, part, machine.flavor)


def no_engine(bundle: Bundle, part: str, flavor: str) -> BackendError:
    """An error for a bundle with no engine of a distribution for a part."""
    part_option = "" if part == "pipeline" else f" --part {part}"
    return BackendError(
        f"bundle '{bundle.path}' has no {flavor} engine of its {part}. "
        f"Next: pixelproof build-engine {quote(bundle.path)} --flavor {flavor}{part_option}"
    )


def _read_sidecar(bundle: Bundle, name: str) -> dict[str, Any]:
    def unfit(what: str) -> BundleError:
        return _unfit(bundle, name, what)

    content = inside(bundle.path, f"{ENGINES}/{_sidecar_name(name)}").read_bytes()
    sidecar = parse_json(content, "its sidecar", unfit)
    if not isinstance(sidecar, dict):
        raise unfit("its sidecar is not a JSON object")
    check_fields(sidecar, _FIELDS, "its sidecar", unfit)
    return sidecar


def _sidecar_name(name: str) -> str:
    return f"{name.removesuffix('.engine')}.json"


def _unfit(bundle: Bundle, name: str, what: str) -> BundleError:
    return BundleError(
        f"engine '{name}' of bundle '{bundle.path}' is not the one that was built: {what}. "
        f"Next: pixelproof build-engine {quote(bundle.path)} --rebuild"
    )


def _short(value: str) -> str:
    return f"{value[:12]}..." if len(value) == 64 else f"'{value}'"


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")]


def _is_profile(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(is_count(side) and side > 0 for side in value)


_FIELDS: Fields = {
    "flavour": (is_text, "a text"),
    "version": (is_text, "a text"),
    "compute_capability": (is_text, "a text"),
    "gpu": (absent_or(is_text), "a text or null"),
    "driver_cuda": (absent_or(is_text), "a text or null"),
    "profile": (_is_profile, "three whole numbers above 0"),
    "precision": (is_text, "a text"),
    "onnx_sha256": (is_sha256, "64 hex digits"),
    "engine_sha256": (is_sha256, "64 hex digits"),
    "nbytes": (is_count, "a whole number"),
    "built": (is_text, "a text"),
}
