"""Builds a TensorRT engine from a bundle and puts it into the bundle."""

import datetime
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelproof.deprecation import warn_renamed
from pixelproof.errors import BackendError, ExportError, Interrupted, PixelproofError, UsageError
from pixelproof.export.engines.precision import check_shares, inspected_shares, lower_shares
from pixelproof.export.engines.timing_cache import Timings
from pixelproof.export.engines.watching import Cancel, monitor
from pixelproof.files import write_bytes, write_json
from pixelproof.gpu import open_gpu
from pixelproof.runtime import Bundle, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER, PIPELINE
from pixelproof.runtime.engines import (
    ENGINES,
    PORTABLE,
    Flavor,
    Machine,
    engine_name,
    first_cause,
    listener,
    open_flavor,
)
from pixelproof.runtime.engines.listening import Listener
from pixelproof.runtime.manifest import MANIFEST

DEFAULT_PROFILE = (1, 64, 1024)

Progress = Callable[[str, int, int], None]
"""Called with what TensorRT is doing, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Request:
    """What to build.

    Attributes:
        part: "pipeline" or "classifier".
        profile: smallest, usual and largest batch.
        capability: a compute capability such as "8.9", or "portable"; None: the flavor's own choice.
    """

    part: str
    profile: tuple[int, int, int]
    capability: str | None


def build_engine(
    bundle: Path,
    *,
    flavor: str = "tensorrt",
    part: str = "pipeline",
    profile: Sequence[int] = DEFAULT_PROFILE,
    capability: str | None = None,
    progress: Progress = lambda *_: None,
    flavour: str | None = None,
) -> Path:
    """Build an engine of a bundle's graph, and write it, its sidecar and a new manifest, in this order.

    An engine is trusted code: it is not to be taken from where one would not take a program from.

    Args:
        bundle: its folder.
        flavor: "tensorrt", which builds for the GPU that is here, or "tensorrt-rtx", which needs none.
        part: "pipeline" or "classifier".
        profile: smallest, usual and largest batch that the engine takes.
        capability: of tensorrt-rtx: what to build for, such as "8.9", or "portable" (the default).
        progress: told what TensorRT is doing.
        flavour: the old name of `flavor`.

    Returns:
        The engine's path; its sidecar lies beside it, with the suffix `.json`.

    Raises:
        BundleError: the bundle is missing or damaged.
        UsageError: an unfit profile, part, flavor or compute capability, or an int8 bundle made for ONNX Runtime.
        PixelproofError: the flavor is not installed, or finds no GPU.
        ExportError: TensorRT refuses the graph, or the engine would not be what the bundle is named after.
        Interrupted: Ctrl-C; the bundle is as it was.
    """
    if flavour is not None:
        warn_renamed("build_engine(flavour=)", "build_engine(flavor=)")
        flavor = flavour
    request = Request(part, _checked_profile(profile), capability)
    opened = read_bundle(bundle)
    graph = _graph(opened, part)
    chosen = open_flavor(flavor, purpose="building")
    machine = machine_here(chosen)
    listening = listener(chosen.trt)
    engine, shares = _built(chosen, machine, listening, opened, graph, request, progress)
    return _written(opened, chosen, machine, request, graph, engine, shares)


def machine_here(flavor: Flavor) -> Machine | None:
    """What TensorRT builds on; None where there is no GPU and it needs none.

    Raises:
        PixelproofError: there is no GPU, and the flavor builds for the one that is here.
    """
    try:
        gpu = open_gpu(purpose="building a TensorRT engine", instead="--flavor tensorrt-rtx")
    except PixelproofError:
        if flavor.chooses_capability:
            return None
        raise
    try:
        return Machine.here(flavor, gpu)
    finally:
        gpu.close()


def _checked_profile(profile: Sequence[int]) -> tuple[int, int, int]:
    if len(profile) != 3 or not 1 <= profile[0] <= profile[1] <= profile[2]:
        raise UsageError(
            f"a profile is the smallest, the usual and the largest batch, in this order and from 1 on, got "
            f"{','.join(map(str, profile)) or 'nothing'}. Next: --profile {','.join(map(str, DEFAULT_PROFILE))}"
        )
    smallest, usual, largest = profile
    return smallest, usual, largest


def _graph(bundle: Bundle, part: str) -> bytes:
    name = {"pipeline": PIPELINE, "classifier": CLASSIFIER}.get(part)
    if name is None or name not in bundle.files:
        parts = [known.removesuffix(".onnx") for known in bundle.files if known.endswith(".onnx")]
        raise UsageError(
            f"bundle '{bundle.path}' has no part '{part}'; it has {', '.join(parts)}. Next: --part {parts[0]}"
        )
    if bundle.manifest["precision"] == "int8" and bundle.manifest.get("target") != "tensorrt":
        raise UsageError(
            f"bundle '{bundle.path}' is int8 for ONNX Runtime, which TensorRT refuses. "
            "Next: pixelproof export CLASSIFIER --precision int8 --target tensorrt -o BUNDLE"
        )
    return bundle.files[name]


def _built(
    flavor: Flavor,
    machine: Machine | None,
    listening: Listener,
    bundle: Bundle,
    graph: bytes,
    request: Request,
    progress: Progress,
) -> tuple[bytes, dict[str, float]]:
    """The engine's bytes, and the shares of the classifier's convolutions in lower precisions."""
    trt = flavor.trt
    builder = trt.Builder(listening.logger)
    if builder is None:
        raise BackendError(
            _refusal(flavor, "does not start", listening.errors, "nvidia-smi shows whether there is a GPU")
        )
    network, _parser = _parsed(flavor, builder, listening, graph)
    shares = lower_shares(trt, network)
    check_shares(bundle.manifest["precision"], shares)
    config = _configured(flavor, machine, builder, request)
    _set_profile(builder, config, network, request.profile, listening)
    timings = Timings(config, machine)
    cancel = Cancel()
    config.progress_monitor = monitor(trt, progress, cancel)
    with cancel.listening():
        engine = builder.build_serialized_network(network, config)
    if cancel.pressed:
        raise Interrupted("stopped building; the bundle is as it was. Next: the same command begins again")
    if engine is None:
        raise ExportError(_refusal(flavor, "cannot build the engine", listening.errors, "pixelproof doctor"))
    timings.save()
    built = bytes(engine)
    inspected = None if machine is None else inspected_shares(trt, listening.logger, built)
    if inspected is not None:
        check_shares(bundle.manifest["precision"], inspected)
    return built, inspected or shares


def _parsed(flavor: Flavor, builder: Any, listening: Listener, graph: bytes) -> tuple[Any, Any]:  # noqa: ANN401
    """TensorRT's network of the ONNX graph, and the parser that holds its weights, to be kept as long."""
    trt = flavor.trt
    strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if strongly_typed is None else 1 << int(strongly_typed))
    parser = trt.OnnxParser(network, listening.logger)
    if not parser.parse(graph):
        told = [" ".join(parser.get_error(index).desc().split()) for index in range(parser.num_errors)]
        raise ExportError(
            _refusal(flavor, "refuses the graph", told + listening.errors, "export it again with --force")
        )
    return network, parser


def _configured(flavor: Flavor, machine: Machine | None, builder: Any, request: Request) -> Any:  # noqa: ANN401
    trt = flavor.trt
    config = builder.create_builder_config()
    if machine is not None:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the inspector to tell weights' types
    config.clear_flag(trt.BuilderFlag.TF32)  # the purifier's decisions are comparisons: float32 is to be float32
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # without it TensorRT for RTX cannot be recorded
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    _set_capability(flavor, config, request.capability)
    return config


def _set_profile(builder: Any, config: Any, network: Any, profile: tuple[int, int, int], listening: Listener) -> None:  # noqa: ANN401
    given = network.get_input(0)
    sides = tuple(given.shape)[1:]
    shapes = builder.create_optimization_profile()
    shapes.set_shape(given.name, *((batch, *sides) for batch in profile))
    if config.add_optimization_profile(shapes) < 0:
        raise ExportError(f"the profile {profile} is refused: {first_cause(listening.errors)}. Next: another --profile")


def _set_capability(flavor: Flavor, config: Any, asked: str | None) -> None:  # noqa: ANN401
    if asked is not None and not flavor.chooses_capability:
        raise UsageError(
            f"{flavor.name} builds for the GPU that is here alone. Next: leave out --compute-capability, or "
            "--flavor tensorrt-rtx"
        )
    if asked not in (None, PORTABLE):
        assert asked is not None
        capability = flavor.capability(asked)
        config.num_compute_capabilities = 1
        config.set_compute_capability(capability, 0)


def _refusal(flavor: Flavor, what: str, errors: list[str], remedy: str) -> str:
    return f"{flavor.name} {flavor.version} {what}: {first_cause(errors)}. Next: {remedy}"


def _written(
    bundle: Bundle,
    flavor: Flavor,
    machine: Machine | None,
    request: Request,
    graph: bytes,
    engine: bytes,
    shares: dict[str, float],
) -> Path:
    bound = None if flavor.chooses_capability else machine  # the GPU that it is tied to
    built_for = bound.capability if bound else request.capability or PORTABLE
    path = bundle.path / ENGINES / engine_name(request.part, flavor.name, built_for)
    sidecar = {
        "flavour": flavor.name,
        "version": flavor.version,
        "compute_capability": built_for,
        "gpu": bound.gpu if bound else None,
        "driver_cuda": bound.driver_cuda if bound else None,
        "profile": list(request.profile),
        "precision": bundle.manifest["precision"],
        "lower_precision_shares": shares,
        "onnx_sha256": hashlib.sha256(graph).hexdigest(),
        "engine_sha256": hashlib.sha256(engine).hexdigest(),
        "nbytes": len(engine),
        "built": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    write_bytes(path, engine)
    write_json(path.with_suffix(".json"), sidecar)
    manifest = json.loads((bundle.path / MANIFEST).read_bytes())
    listed = {path.name: sidecar["engine_sha256"]}
    manifest["engines"] = dict(sorted({**manifest.get("engines", {}), **listed}.items()))
    write_json(bundle.path / MANIFEST, manifest)
    return path
