"""The ways of running a bundle that are tried where there is a GPU; see `latency_ways`."""

from collections.abc import Iterator
from contextlib import contextmanager

from pixelproof.benchmarks.latency import Contender
from pixelproof.benchmarks.latency_ways import Absent, Setting, Way, need_purifier
from pixelproof.errors import PixelproofError
from pixelproof.gpu import open_gpu
from pixelproof.runtime import Pipeline
from pixelproof.runtime.backends.onnxruntime_cuda import OnnxRuntimeCuda
from pixelproof.runtime.backends.tensorrt import TensorRtSession
from pixelproof.runtime.engines import FLAVORS


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


ON_GPU: tuple[Way, ...] = (cuda_recorded, cuda_plain, tensorrt_recorded, tensorrt_plain)
"""Those that are tried where there is a GPU."""


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
    for flavor in FLAVORS:
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
