"""Builds a TensorRT engine from a bundle and puts it into the bundle."""

import contextlib
import datetime
import hashlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelproof.deprecation import warn_renamed
from pixelproof.errors import BackendError, ExportError, Interrupted, PixelproofError, UsageError
from pixelproof.export.engines.precision import check_shares, inspected_shares, lower_shares
from pixelproof.export.engines.timing_cache import Timings
from pixelproof.files import write_bytes, write_json
from pixelproof.gpu import open_gpu
from pixelproof.runtime import Bundle, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER, PIPELINE
from pixelproof.runtime.distributions import PORTABLE, Distribution, first_cause, listener, open_distribution
from pixelproof.runtime.engines import ENGINES, Machine, engine_name
from pixelproof.runtime.manifest import MANIFEST

DEFAULT_PROFILE = (1, 64, 1024)

Progress = Callable[[str, int, int], None]
"""Called with what TensorRT is doing, how much of it is done, and how much there is."""


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
        flavor: the distribution, "tensorrt" (builds for the GPU that is here) or "tensorrt-rtx" (needs no GPU).
        part: "pipeline" or "classifier".
        profile: smallest, usual and largest batch that the engine takes, in images.
        capability: of tensorrt-rtx: what to build for, such as "8.9", or "portable" (the default).
        progress: called with what TensorRT is doing.
        flavour: the old name of `flavor`.

    Returns:
        The engine's path; its sidecar lies beside it, with the suffix `.json`.

    Raises:
        BundleError: the bundle is missing or damaged.
        UsageError: an unfit profile, part, distribution or compute capability, or an int8 bundle made for ONNX Runtime.
        PixelproofError: the distribution is not installed, or finds no GPU.
        ExportError: TensorRT refuses the graph, or the engine would not be what the bundle is named after.
        Interrupted: Ctrl-C; the bundle is as it was.
    """
    if flavour is not None:
        warn_renamed("build_engine(flavour=)", "build_engine(flavor=)")
        flavor = flavour
    checked = _checked_profile(profile)
    opened = read_bundle(bundle)
    graph = _graph(opened, part)
    chosen = open_distribution(flavor, purpose="building")
    build = _Build(opened, part, checked, capability, graph, chosen, machine_here(chosen))
    return build.written(*build.built(progress))


def machine_here(distribution: Distribution) -> Machine | None:
    """What TensorRT builds on; None where there is no GPU and it needs none.

    Raises:
        PixelproofError: there is no GPU, and the distribution builds for the one that is here.
    """
    try:
        gpu = open_gpu(purpose="building a TensorRT engine", instead="--flavor tensorrt-rtx")
    except PixelproofError:
        if distribution.chooses_capability:
            return None
        raise
    try:
        return Machine.here(distribution, gpu)
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


@dataclass(frozen=True)
class _Build:
    """What to build, of what, and by what.

    Attributes:
        bundle: to read from, and to write to.
        part: "pipeline" or "classifier".
        profile: smallest, usual and largest batch, in images.
        asked: a compute capability such as "8.9", or "portable"; None: the distribution's own choice.
        graph: the part's, as ONNX bytes.
        distribution: TensorRT.
        machine: where; None: without a GPU.
    """

    bundle: Bundle
    part: str
    profile: tuple[int, int, int]
    asked: str | None
    graph: bytes
    distribution: Distribution
    machine: Machine | None

    def built(self, progress: Progress) -> tuple[bytes, dict[str, float]]:
        """The engine's bytes, and the shares of the classifier's convolutions in lower precisions, 0 to 1."""
        trt, precision = self.distribution.trt, self.bundle.manifest["precision"]
        listening = listener(trt)
        builder = trt.Builder(listening.logger)
        if builder is None:
            raise BackendError(
                self._refusal("does not start", listening.errors, "nvidia-smi shows whether there is a GPU")
            )
        strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if strongly_typed is None else 1 << int(strongly_typed))
        parser = trt.OnnxParser(network, listening.logger)  # it holds the network's weights
        if not parser.parse(self.graph):
            errors = [" ".join(parser.get_error(index).desc().split()) for index in range(parser.num_errors)]
            remedy = "export it again with --force"
            raise ExportError(self._refusal("refuses the graph", errors + listening.errors, remedy))
        shares = lower_shares(trt, network)
        check_shares(precision, shares)
        config = self._configured(builder)
        if config.add_optimization_profile(self._shapes(builder, network.get_input(0))) < 0:
            why = first_cause(listening.errors)
            raise ExportError(f"the profile {self.profile} is refused: {why}. Next: another --profile")
        timings = Timings(config, self.machine)
        cancel = Cancel()
        config.progress_monitor = monitor(trt, progress, cancel)
        with cancel.listening():
            engine = builder.build_serialized_network(network, config)
        if cancel.pressed:
            raise Interrupted("stopped building; the bundle is as it was. Next: the same command begins again")
        if engine is None:
            raise ExportError(self._refusal("cannot build the engine", listening.errors, "pixelproof doctor"))
        timings.save()
        built = bytes(engine)
        inspected = None if self.machine is None else inspected_shares(trt, listening.logger, built)
        if inspected is not None:
            check_shares(precision, inspected)
        return built, inspected or shares

    def _configured(self, builder: Any) -> Any:  # noqa: ANN401  (TensorRT's own types, here and below)
        trt = self.distribution.trt
        config = builder.create_builder_config()
        if self.machine is not None:
            config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the inspector to state weights' types
        config.clear_flag(trt.BuilderFlag.TF32)  # the purifier's decisions are comparisons: float32 is to be float32
        if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # without it TensorRT for RTX cannot be recorded
            config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
        if self.asked is not None and not self.distribution.chooses_capability:
            raise UsageError(
                f"{self.distribution.name} builds for the GPU that is here alone. Next: leave out "
                "--compute-capability, or --flavor tensorrt-rtx"
            )
        if self.asked not in (None, PORTABLE):
            capability = self.distribution.capability(str(self.asked))
            config.num_compute_capabilities = 1
            config.set_compute_capability(capability, 0)
        return config

    def _shapes(self, builder: Any, given: Any) -> Any:  # noqa: ANN401
        """TensorRT's optimization profile of the input `given`."""
        sides = tuple(given.shape)[1:]
        shapes = builder.create_optimization_profile()
        shapes.set_shape(given.name, *((batch, *sides) for batch in self.profile))
        return shapes

    def _refusal(self, what: str, errors: list[str], remedy: str) -> str:
        return f"{self.distribution.name} {self.distribution.version} {what}: {first_cause(errors)}. Next: {remedy}"

    def written(self, engine: bytes, shares: dict[str, float]) -> Path:
        """Write the engine, its sidecar and a new manifest, in this order; returns the engine's path."""
        bound = None if self.distribution.chooses_capability else self.machine  # the GPU that it is tied to
        built_for = bound.capability if bound else self.asked or PORTABLE
        path = self.bundle.path / ENGINES / engine_name(self.part, self.distribution.name, built_for)
        sidecar = {
            "flavour": self.distribution.name,
            "version": self.distribution.version,
            "compute_capability": built_for,
            "gpu": bound.gpu if bound else None,
            "driver_cuda": bound.driver_cuda if bound else None,
            "profile": list(self.profile),
            "precision": self.bundle.manifest["precision"],
            "lower_precision_shares": shares,
            "onnx_sha256": hashlib.sha256(self.graph).hexdigest(),
            "engine_sha256": hashlib.sha256(engine).hexdigest(),
            "nbytes": len(engine),
            "built": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        write_bytes(path, engine)
        write_json(path.with_suffix(".json"), sidecar)
        manifest = json.loads((self.bundle.path / MANIFEST).read_bytes())
        listed = {path.name: sidecar["engine_sha256"]}
        manifest["engines"] = dict(sorted({**manifest.get("engines", {}), **listed}.items()))
        write_json(self.bundle.path / MANIFEST, manifest)
        return path


class Cancel:
    """Whether Ctrl-C was pressed while TensorRT was building: it cannot be interrupted, but asks now and then."""

    def __init__(self) -> None:
        self.pressed = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note Ctrl-C instead of raising it; in other threads than the main one nothing is changed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def note(*_: object) -> None:
            self.pressed = True

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def monitor(trt: Any, progress: Progress, cancel: Cancel) -> Any:  # noqa: ANN401
    """A progress monitor of this TensorRT: it reports each phase's steps to `progress`, and stops for `cancel`."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, name: str, _parent: str | None, steps: int) -> None:
            self._steps[name] = steps
            progress(name, 0, steps)

        def step_complete(self, name: str, step: int) -> bool:
            progress(name, min(step + 1, self._steps.get(name, 1)), self._steps.get(name, 1))
            return not cancel.pressed

        def phase_finish(self, name: str) -> None:
            progress(name, self._steps.get(name, 1), self._steps.get(name, 1))

    return Monitor()
