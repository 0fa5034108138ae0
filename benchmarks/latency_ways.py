"""The ways of running a bundle that are timed against one another: to add one, write a function and list it in `WAYS`.

A way opens a bundle and yields a `Contender`, or raises `Absent` with the reason why it cannot be timed.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.half_precision import pytorch_threads
from pixelproof.benchmarks.latency import BARE, FUSED, Contender
from pixelproof.benchmarks.process import measured_apart, peak_mib
from pixelproof.errors import PixelproofError
from pixelproof.gpu import open_gpu
from pixelproof.models import is_shipped
from pixelproof.runtime import Pipeline, read_bundle
from pixelproof.runtime.backends.onnxruntime_cuda import OnnxRuntimeCuda
from pixelproof.runtime.backends.tensorrt import TensorRtSession
from pixelproof.runtime.distributions import DISTRIBUTIONS

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Setting:
    """What to open and how: the bundle's folder and manifest, the runtime's backend, threads (None: one a core).

    `beside` names another bundle than the one that is measured, in its rows.
    """

    bundle: Path
    manifest: dict[str, Any]
    backend: str
    threads: int | None
    beside: str = ""

    def named(self, way: str) -> str:
        """What a way's rows are called."""
        return f"{way}, {self.beside}" if self.beside else way

    def open(self, part: Any) -> Pipeline:  # noqa: ANN401  (the literals that Pipeline takes)
        """The bundle's "pipeline" or "classifier"."""
        return Pipeline(self.bundle, backend=self.backend, part=part, threads=self.threads)


class Absent(Exception):  # noqa: N818  (no fault: the message is a note in the results)
    """This way cannot be timed here; the message says why."""


def eager_pytorch(setting: Setting) -> AbstractContextManager[Contender]:
    """PyTorch: the purifier's module, then the classifier's, with the shipped weights that the bundle was made of."""
    return _pytorch(setting, whole=True)


def compiled_pytorch(setting: Setting) -> AbstractContextManager[Contender]:
    """The same, each module compiled by `torch.compile`; the compiler runs when a batch size is first met."""
    return _pytorch(setting, whole=True, compiled=True)


def eager_classifier(setting: Setting) -> AbstractContextManager[Contender]:
    """PyTorch: the classifier's module alone."""
    return _pytorch(setting, whole=False)


def compiled_classifier(setting: Setting) -> AbstractContextManager[Contender]:
    """The same, compiled."""
    return _pytorch(setting, whole=False, compiled=True)


@contextmanager
def two_sessions(setting: Setting) -> Iterator[Contender]:
    """Two graphs one after the other: the purifier's, then the bare classifier's on the purified uint8 images."""
    need_purifier(setting.manifest)
    with setting.open("pipeline") as pipeline, setting.open("classifier") as classifier:
        yield Contender(
            "ONNX, two sessions", pipeline.provider, lambda images: classifier.predict(pipeline.purify(images))
        )


@contextmanager
def fused_graph(setting: Setting) -> Iterator[Contender]:
    """The fused graph as deployed: one call gives labels, probabilities, purified images and suspicion."""
    need_purifier(setting.manifest)
    with setting.open("pipeline") as pipeline:
        yield Contender(setting.named(FUSED), pipeline.provider, pipeline)


@contextmanager
def bare_classifier(setting: Setting) -> Iterator[Contender]:
    """The classifier with no purifier: what the protection's cost is measured by."""
    with setting.open("classifier") as classifier:
        yield Contender(setting.named(BARE), classifier.provider, classifier)


def idle_thread_cautions() -> list[str]:
    """A note where PyTorch's idle threads may keep the cores that the next contender needs, else none."""
    if "torch" not in sys.modules or os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive":
        return []
    return ["PyTorch was loaded without OMP_WAIT_POLICY=passive: its idle threads slow whatever runs next."]


def let_idle_threads_sleep() -> None:
    """Keep PyTorch's idle threads off the cores; has an effect only before PyTorch is loaded, when OpenMP reads it."""
    # On two busy cores spinning threads made ResNet-32 take 1,200 ms instead of 7.
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def need_purifier(manifest: dict[str, Any]) -> None:
    """`Absent` for a bundle without one."""
    if manifest["purifier"] is None:
        raise Absent("the bundle has no purifier")


@contextmanager
def _pytorch(setting: Setting, *, whole: bool, compiled: bool = False) -> Iterator[Contender]:
    """Runs uint8 images and gives what the pipeline gives (`whole`), or the classifier's probabilities alone."""
    if whole:
        need_purifier(setting.manifest)
    classifier: Callable[..., Tensor] = _shipped_module(setting.manifest, "classifier")
    purifier: Callable[..., Tensor] | None = _shipped_module(setting.manifest, "purifier") if whole else None
    import torch

    if compiled:
        if shutil.which("g++") is None:
            raise Absent("torch.compile needs a C++ compiler, and there is no g++")
        classifier = torch.compile(classifier, dynamic=False)
        purifier = purifier and torch.compile(purifier, dynamic=False)

    def run(images: NDArray[np.uint8]) -> Any:  # noqa: ANN401  (one array, or two)
        with torch.inference_mode():
            levels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
            purified: Tensor = levels if purifier is None else purifier(levels).clamp(0, 255)
            probabilities = classifier(purified / 255).softmax(1).numpy()
            if purifier is None:
                return probabilities
            return probabilities, (purified + 0.5).floor().permute(0, 2, 3, 1).to(torch.uint8).numpy()

    name = f"PyTorch {'compiled' if compiled else 'eager'}, {'two stages' if whole else 'bare classifier'}"
    with pytorch_threads(setting.threads, purpose="timing PyTorch"):
        yield Contender(name, "PyTorch, CPU", run)


def _shipped_module(manifest: dict[str, Any], part: str) -> "nn.Module":
    """The bundle's "classifier" or "purifier" in PyTorch; `Absent` where it has other weights than the shipped ones."""
    from pixelproof.models import build_classifier, build_purifier

    name = manifest[part]["name"]
    if not is_shipped(manifest[part]):
        raise Absent(f"the bundle's '{name}' is not one that is shipped with this version")
    let_idle_threads_sleep()
    try:
        return build_classifier(name) if part == "classifier" else build_purifier(name)
    except PixelproofError as error:  # PyTorch is not installed
        raise Absent(str(error)) from None


def cuda_recorded(setting: Setting) -> AbstractContextManager[Contender]:
    """The fused graph on ONNX Runtime's CUDA provider, each batch size recorded as a CUDA graph."""
    return _on_gpu(setting, "ONNX on CUDA", ("cuda",), recorded=True, clock="the host's clock")


def cuda_plain(setting: Setting) -> AbstractContextManager[Contender]:
    """The same, launched anew for each batch."""
    return _on_gpu(setting, "ONNX on CUDA", ("cuda",), recorded=False)


def tensorrt_recorded(setting: Setting) -> AbstractContextManager[Contender]:
    """The bundle's engine by the first TensorRT that runs it, each batch size recorded as a CUDA graph."""
    return _on_gpu(setting, "TensorRT engine", tuple(DISTRIBUTIONS), recorded=True, clock="the GPU's clock")


def tensorrt_plain(setting: Setting) -> AbstractContextManager[Contender]:
    """The same, launched anew for each batch."""
    return _on_gpu(setting, "TensorRT engine", tuple(DISTRIBUTIONS), recorded=False, clock="the GPU's clock")


@contextmanager
def _on_gpu(
    setting: Setting, called: str, backends: Sequence[str], *, recorded: bool, clock: str = ""
) -> Iterator[Contender]:
    """The fused graph by the first of `backends` that runs it; `clock` takes the times of its parts, if any does."""
    need_purifier(setting.manifest)
    reasons = []
    for backend in backends:
        try:
            pipeline = Pipeline(setting.bundle, backend=backend, threads=setting.threads)
        except PixelproofError as error:
            reasons.append(error.reason)
            continue
        with pipeline:
            session = pipeline.session
            assert isinstance(session, OnnxRuntimeCuda | TensorRtSession)
            if not recorded:
                session.graphs = False
            name = f"{called}, {'CUDA graph' if recorded else 'no CUDA graph'}"
            yield Contender(name, pipeline.provider, pipeline, session.split if clock else None, clock)
            return
    raise Absent("; ".join(reasons))


def gpu_here() -> str | None:
    """The GPU to time on and what its driver knows, for the record; None where there is none."""
    try:
        gpu = open_gpu(purpose="timing", instead="nothing")
    except PixelproofError:
        return None
    described = f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, a driver for CUDA {gpu.cuda}"
    gpu.close()
    return described


Way = Callable[[Setting], AbstractContextManager[Contender]]
WAYS: tuple[Way, ...] = (
    eager_pytorch,
    compiled_pytorch,
    eager_classifier,
    compiled_classifier,
    two_sessions,
    fused_graph,
    bare_classifier,
)
COMPILED = (compiled_pytorch, compiled_classifier)
"""Those that take a minute before they are first timed."""
BESIDE = (fused_graph, bare_classifier)
"""Those of another bundle beside the one that is measured."""
ON_GPU: tuple[Way, ...] = (cuda_recorded, cuda_plain, tensorrt_recorded, tensorrt_plain)
"""Those that are tried where there is a GPU."""
_RUNS = 3
_ALL = (*WAYS, *ON_GPU)


def peak_memory(way: Way, setting: Setting, batches: Sequence[int]) -> dict[int, float]:
    """The largest resident set, in MiB, by batch size; empty where the system does not report it, or the process fails.

    The batches are run in ascending order in one process, so each figure holds for all batches up to that size. It
    includes the interpreter and the libraries.
    """
    task = [_ALL.index(way), str(setting.bundle), setting.backend, setting.threads, sorted(batches)]
    peaks = measured_apart(f"'{way.__name__}'", f"{__name__}:measure_memory", task)
    return {int(batch): mib for batch, mib in (peaks or {}).items()}


def measure_memory(
    index: int, bundle: str, backend: str, threads: int | None, batches: Sequence[int]
) -> dict[int, float]:
    """What the process of `peak_memory` does; the peak in MiB after each batch."""
    setting = Setting(Path(bundle), read_bundle(Path(bundle)).manifest, backend, threads)
    height, width = setting.manifest["image_size"]
    peaks = {}
    with _ALL[index](setting) as contender:
        for batch in batches:
            images = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
            for _ in range(_RUNS):
                contender.run(images)
            peaks[batch] = peak_mib()
    return peaks
