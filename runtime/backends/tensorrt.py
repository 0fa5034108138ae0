"""TensorRT, and TensorRT for RTX, by their own API: a bundle's engine on a stream of its own.

One execution context a batch size, as a recorded launch (a CUDA graph) holds for one context and one shape. All share
one scratch memory: a lock lets one batch run at a time.
"""

import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import BackendError, PixelproofError
from pixelproof.gpu import Gpu, Recording, open_gpu
from pixelproof.runtime.backends.base import Session, Source, TensorSpec
from pixelproof.runtime.distributions import Distribution, first_cause, listener, open_distribution
from pixelproof.runtime.engines import Engine, Machine, choose_engine, engine_names, no_engine

_PIXELS = 2**20  # of a batch at most, as far as the profile lets it: 1,024 images of 32x32
_KEPT_SIZES = 64  # batch sizes that keep context and recording; the one unused for longest goes first
_PURPOSE = "running a TensorRT engine"
_log = logging.getLogger("pixelproof")


def open_tensorrt(flavor: str, source: Source, threads: int | None) -> Session:
    """Open the engine of `source`'s bundle that fits this machine; `threads` has no meaning here.

    Raises:
        PixelproofError: TensorRT, PyCUDA or the GPU is missing, or the bundle has no engine that fits.
    """
    del threads
    bundle = source.bundle
    if bundle is None:
        raise BackendError(f"{flavor} runs a bundle's engines, and this graph is of no bundle. Next: --backend cuda")
    if not engine_names(bundle, source.part, flavor):
        raise no_engine(bundle, source.part, flavor)
    chosen = open_distribution(flavor, purpose="running")
    gpu = open_gpu(purpose=_PURPOSE, instead="--backend cpu")
    try:
        engine = choose_engine(bundle, source.part, Machine.here(chosen, gpu))
        return TensorRtSession(engine, chosen, gpu)
    except BaseException:
        gpu.close()
        raise


def check_tensorrt(flavor: str) -> None:
    """`PixelproofError` unless TensorRT, PyCUDA and a GPU are there."""
    chosen = open_distribution(flavor, purpose="running")
    open_gpu(purpose=_PURPOSE, instead="--backend cpu").close()
    if chosen.trt.Runtime(listener(chosen.trt).logger) is None:
        raise BackendError(f"{flavor} {chosen.version} does not start. Next: pixelproof doctor")


class TensorRtSession:
    """An engine that is loaded; see `Session`.

    Args:
        engine: what to load.
        distribution: its TensorRT.
        gpu: where; closed with the session.

    Attributes:
        engine: TensorRT's own; None once closed.
        graphs: whether a batch size that comes again is launched as a recording; a change holds for sizes not met yet.
    """

    def __init__(self, engine: Engine, distribution: Distribution, gpu: Gpu) -> None:
        self._trt, self._gpu, self.graphs = distribution.trt, gpu, True
        self._lock = threading.Lock()
        self.provider = f"{distribution.name} {distribution.version}"
        with gpu.current():
            self.engine: Any = _loaded(engine, distribution)
            self.inputs, self.outputs = _tensors(self._trt, self.engine)
            self._smallest, self._rows = self._batches()
            self._sizes: OrderedDict[int, _Size] = OrderedDict()
            self._scratch = gpu.allocate(self.engine.device_memory_size_v2, purpose="the engine's scratch memory")
            self._host = {tensor.name: gpu.pinned(self._shape(tensor), tensor.dtype) for tensor in self._all}
            self._device = {name: gpu.allocate(array.nbytes, purpose=f"'{name}'") for name, array in self._host.items()}

    def images_a_run(self, size: tuple[int, int]) -> int:
        """See `Session`: as many as the profile allows, or fewer where they would take much memory."""
        return self._rows

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """See `Session`. A batch below the profile's smallest is filled up with its last image."""
        return self._run(images, outputs, lambda: None)

    def split(self, images: NDArray[np.uint8]) -> tuple[float, float, float]:
        """Milliseconds of one batch, uint8 `(n, H, W, 3)`: of copying it there, of computing, of copying all back.

        They are taken by the GPU's own clock.
        """
        events: list[Any] = []
        self._run(images, [tensor.name for tensor in self.outputs], lambda: events.append(self._gpu.event()))
        there, computed, back = (before.time_till(after) for before, after in itertools.pairwise(events))
        return there, computed, back

    def _run(self, images: NDArray[np.uint8], outputs: Sequence[str], mark: Callable[[], None]) -> list[NDArray[Any]]:
        """Run a batch; `mark` is called before the copy to the GPU, before and after the engine, and at the end."""
        given = self.inputs[0].name
        rows = max(len(images), self._smallest)
        with self._lock:
            if self.engine is None:
                raise BackendError("the session of this engine is closed. Next: open the bundle again")
            with self._gpu.current():
                self._host[given][: len(images)] = images
                self._host[given][len(images) : rows] = images[-1:]
                mark()
                self._gpu.copy_in(self._device[given], self._host[given][:rows])
                mark()
                self._size(rows).launch()
                mark()
                for name in outputs:
                    self._gpu.copy_out(self._host[name][:rows], self._device[name])
                mark()
                self._gpu.synchronize()
                return [self._host[name][: len(images)].copy() for name in outputs]

    def close(self) -> None:
        """See `Session`; closing again does nothing."""
        with self._lock:
            if self.engine is None:
                return
            with self._gpu.current():
                self._gpu.synchronize()
                self._sizes.clear()  # contexts go before their engine
                self.engine = None
            self._gpu.close()

    @property
    def _all(self) -> tuple[TensorSpec, ...]:
        return (*self.inputs, *self.outputs)

    def _batches(self) -> tuple[int, int]:
        """The smallest and the largest batch."""
        shapes = self.engine.get_tensor_profile_shape(self.inputs[0].name, 0)
        smallest, _, largest = (int(shape[0]) for shape in map(tuple, shapes))
        sides = [side for side in self.inputs[0].shape[1:3] if isinstance(side, int)]
        return smallest, min(largest, max(smallest, _PIXELS // max(1, int(np.prod(sides)))))

    def _shape(self, tensor: TensorSpec) -> tuple[int, ...]:
        sides = [side for side in tensor.shape[1:] if isinstance(side, int)]
        return (self._rows, *sides)

    def _size(self, rows: int) -> "_Size":
        if rows not in self._sizes:
            while len(self._sizes) >= _KEPT_SIZES:
                self._sizes.popitem(last=False)[1].close()
            self._sizes[rows] = _Size(self._prepared(rows), self._gpu, graphs=self.graphs)
        self._sizes.move_to_end(rows)
        return self._sizes[rows]

    def _prepared(self, rows: int) -> Any:  # noqa: ANN401  (TensorRT's execution context)
        context = self.engine.create_execution_context(self._trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise BackendError(f"{self.provider} makes no execution context. Next: smaller batches, or {_REBUILD}")
        given = self.inputs[0]
        if not context.set_input_shape(given.name, (rows, *self._host[given.name].shape[1:])):
            raise BackendError(f"{self.provider} refuses a batch of {rows} images. Next: {_REBUILD}")
        context.set_device_memory(self._scratch, self.engine.device_memory_size_v2)
        for name, pointer in self._device.items():
            context.set_tensor_address(name, pointer)
        return context


_REBUILD = "pixelproof build-engine BUNDLE with another --profile"


class _Size:
    """One batch size: launched plainly the first time, as TensorRT asks, then recorded, then replayed."""

    def __init__(self, context: Any, gpu: Gpu, *, graphs: bool) -> None:  # noqa: ANN401
        self._context, self._gpu = context, gpu
        self._runs = 0 if graphs else None
        self._replay: Recording | None = None

    def launch(self) -> None:
        if self._runs == 1:
            self._replay = self._recorded()
            self._runs = None
        elif self._runs == 0:
            self._runs = 1
        (self._replay or self._enqueue)()

    def close(self) -> None:
        """Free the recording; nothing is running, as every batch is waited for."""
        if self._replay:
            self._gpu.forget(self._replay)

    def _recorded(self) -> Recording | None:
        if not getattr(self._context, "is_stream_capturable", lambda _: True)(self._gpu.stream.handle):
            return None
        try:
            return self._gpu.record(self._enqueue, remedy="an engine that can be recorded, or --backend cuda")
        except PixelproofError as error:  # TensorRT 10 does not report it beforehand
            _log.info("the engine runs without a CUDA graph: %s", error)
            return None

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._gpu.stream.handle):
            raise BackendError("TensorRT refuses to run the engine. Next: pixelproof build-engine BUNDLE --rebuild")


def _loaded(engine: Engine, distribution: Distribution) -> Any:  # noqa: ANN401  (TensorRT's engine)
    listening = listener(distribution.trt)
    loaded = distribution.trt.Runtime(listening.logger).deserialize_cuda_engine(engine.content)
    if loaded is None:
        raise BackendError(
            f"{distribution.name} {distribution.version} refuses engine '{engine.name}': "
            f"{first_cause(listening.errors)}. Next: pixelproof build-engine BUNDLE --rebuild"
        )
    return loaded


def _tensors(trt: Any, engine: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:  # noqa: ANN401
    """The engine's inputs and outputs."""
    found: dict[bool, list[TensorSpec]] = {True: [], False: []}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        shape = tuple("batch" if side < 0 else int(side) for side in engine.get_tensor_shape(name))
        found[engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT].append(TensorSpec(name, dtype, shape))
    return tuple(found[True]), tuple(found[False])
