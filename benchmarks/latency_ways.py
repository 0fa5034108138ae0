"""The ways of running a bundle that are timed against one another: to add one, write a function and list it in `WAYS`.

A way opens a bundle and yields a `Contender`, or raises `Absent` with the reason why it cannot be timed.
"""

import json
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
from pixelproof.benchmarks.process import child_says, memory_is_told, peak_mib
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


@contextmanager
def eager_pytorch(setting: Setting) -> Iterator[Contender]:
    """PyTorch: the purifier's module, then the classifier's, with the shipped weights that the bundle was made of."""
    with _pytorch(setting, *_shipped_modules(setting.manifest)) as run:
        yield Contender("PyTorch eager, two stages", "PyTorch, CPU", run)


@contextmanager
def compiled_pytorch(setting: Setting) -> Iterator[Contender]:
    """The same, each module compiled by `torch.compile`; the compiler runs when a batch size is first met."""
    purifier, classifier = _shipped_modules(setting.manifest)
    with _pytorch(setting, _compiled(purifier), _compiled(classifier)) as run:
        yield Contender("PyTorch compiled, two stages", "PyTorch, CPU", run)


@contextmanager
def eager_classifier(setting: Setting) -> Iterator[Contender]:
    """PyTorch: the classifier's module alone."""
    with _pytorch(setting, None, _shipped_classifier(setting.manifest)) as run:
        yield Contender("PyTorch eager, bare classifier", "PyTorch, CPU", run)


@contextmanager
def compiled_classifier(setting: Setting) -> Iterator[Contender]:
    """The same, compiled."""
    with _pytorch(setting, None, _compiled(_shipped_classifier(setting.manifest))) as run:
        yield Contender("PyTorch compiled, bare classifier", "PyTorch, CPU", run)


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


def idle_threads_spin() -> bool:
    """Whether PyTorch's idle threads may keep the cores that the next contender needs."""
    return "torch" in sys.modules and os.environ.get("OMP_WAIT_POLICY", "").lower() != "passive"


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
def _pytorch(
    setting: Setting, purifier: "Callable[..., Tensor] | None", classifier: "Callable[..., Tensor]"
) -> "Iterator[Callable[[NDArray[np.uint8]], Any]]":
    """Runs the modules on uint8 images and gives what the pipeline gives, or the classifier's probabilities alone."""
    import torch

    def run(images: NDArray[np.uint8]) -> Any:  # noqa: ANN401  (one array, or two)
        with torch.inference_mode():
            levels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
            purified: Tensor = levels if purifier is None else purifier(levels).clamp(0, 255)
            probabilities = classifier(purified / 255).softmax(1).numpy()
            if purifier is None:
                return probabilities
            return probabilities, (purified + 0.5).floor().permute(0, 2, 3, 1).to(torch.uint8).numpy()

    with pytorch_threads(setting.threads, purpose="timing PyTorch"):
        yield run


def _compiled(module: "nn.Module") -> "Callable[..., Tensor]":
    if shutil.which("g++") is None:
        raise Absent("torch.compile needs a C++ compiler, and there is no g++")
    import torch

    compiled: Callable[..., Tensor] = torch.compile(module, dynamic=False)
    return compiled


def _shipped_modules(manifest: dict[str, Any]) -> "tuple[nn.Module, nn.Module]":
    """Purifier and classifier as the bundle has them, where both are shipped networks with the shipped weights."""
    from pixelproof.models import build_purifier

    need_purifier(manifest)
    classifier = _shipped_classifier(manifest)
    _check_shipped(manifest["purifier"])
    return build_purifier(manifest["purifier"]["name"]), classifier


def _shipped_classifier(manifest: dict[str, Any]) -> "nn.Module":
    from pixelproof.models import build_classifier

    classifier = manifest["classifier"]
    _check_shipped(classifier)
    let_idle_threads_sleep()
    try:
        return build_classifier(classifier["name"])
    except PixelproofError as error:  # PyTorch is not installed
        raise Absent(str(error)) from None


def _check_shipped(part: dict[str, Any]) -> None:
    if not is_shipped(part):
        raise Absent(f"the bundle's '{part['name']}' is not one that is shipped with this version")


@contextmanager
def cuda_recorded(setting: Setting) -> Iterator[Contender]:
    """The fused graph on ONNX Runtime's CUDA provider, each batch size recorded as a CUDA graph."""
    with _on_cuda(setting) as (pipeline, session):
        yield Contender("ONNX on CUDA, CUDA graph", pipeline.provider, pipeline, session.split, "the host's clock")


@contextmanager
def cuda_plain(setting: Setting) -> Iterator[Contender]:
    """The same, launched anew for each batch."""
    with _on_cuda(setting) as (pipeline, session):
        session.graphs = False
        yield Contender("ONNX on CUDA, no CUDA graph", pipeline.provider, pipeline)


@contextmanager
def tensorrt_recorded(setting: Setting) -> Iterator[Contender]:
    """The bundle's TensorRT engine, each batch size recorded as a CUDA graph."""
    with _engine(setting) as (pipeline, session):
        yield Contender("TensorRT engine, CUDA graph", pipeline.provider, pipeline, session.split, "the GPU's clock")


@contextmanager
def tensorrt_plain(setting: Setting) -> Iterator[Contender]:
    """The same, launched anew for each batch."""
    with _engine(setting) as (pipeline, session):
        session.graphs = False
        yield Contender("TensorRT engine, no CUDA graph", pipeline.provider, pipeline, session.split, "the GPU's clock")


@contextmanager
def _fused_on(backend: str, setting: Setting) -> Iterator[Pipeline]:
    need_purifier(setting.manifest)
    try:
        pipeline = Pipeline(setting.bundle, backend=backend, threads=setting.threads)
    except PixelproofError as error:
        raise Absent(error.reason) from None
    with pipeline:
        yield pipeline


@contextmanager
def _on_cuda(setting: Setting) -> Iterator[tuple[Pipeline, OnnxRuntimeCuda]]:
    with _fused_on("cuda", setting) as pipeline:
        session = pipeline.session
        assert isinstance(session, OnnxRuntimeCuda)
        yield pipeline, session


@contextmanager
def _engine(setting: Setting) -> Iterator[tuple[Pipeline, TensorRtSession]]:
    """The bundle's engine by the first TensorRT that runs it."""
    reasons = []
    for flavor in DISTRIBUTIONS:
        try:
            with _fused_on(flavor, setting) as pipeline:
                session = pipeline.session
                assert isinstance(session, TensorRtSession)
                yield pipeline, session
                return
        except Absent as reason:
            reasons.append(str(reason))
    raise Absent("; ".join(reasons))


def gpu_here() -> str | None:
    """The GPU to time on and what its driver knows, for the record; None where there is none."""
    try:
        gpu = open_gpu(purpose="timing", instead="nothing")
    except PixelproofError:
        return None
    told = f"{gpu.name}, compute capability {'.'.join(map(str, gpu.capability))}, a driver for CUDA {gpu.cuda}"
    gpu.close()
    return told


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
    """The largest resident set, in MiB, by batch size; empty where the system does not tell it, or the process fails.

    The batches are run in ascending order in one process, so each figure holds for all batches up to that size. It
    includes the interpreter and the libraries.
    """
    if not memory_is_told():
        return {}
    task = [_ALL.index(way), str(setting.bundle), setting.backend, setting.threads, sorted(batches)]
    told = child_says(
        f"'{way.__name__}'",
        ["-c", f"from {__name__} import measure_memory; measure_memory()"],
        json.dumps(task),
    )
    return {} if told is None else {int(batch): mib for batch, mib in json.loads(told).items()}


def measure_memory() -> None:
    """What the process of `peak_memory` does: a task on stdin, the peak in MiB after each batch on stdout."""
    index, bundle, backend, threads, batches = json.load(sys.stdin)
    setting = Setting(Path(bundle), read_bundle(Path(bundle)).manifest, backend, threads)
    height, width = setting.manifest["image_size"]
    peaks = {}
    with _ALL[index](setting) as contender:
        for batch in batches:
            images = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
            for _ in range(_RUNS):
                contender.run(images)
            peaks[batch] = peak_mib()
    print(json.dumps(peaks))
