"""ONNX Runtime's TensorRT provider: it builds an engine of the graph itself, at first use, and keeps it."""

import os
from types import ModuleType
from typing import Any

from pixelproof.files import user_cache
from pixelproof.runtime.backends.onnxruntime_cuda import CUDA_PROVIDER, EXACT, OnnxRuntimeCuda

TENSORRT_PROVIDER = "TensorrtExecutionProvider"
_MAXIMUM, _USUAL = 256, 64  # batches of the one profile; larger ones are split


class OnnxRuntimeTensorRt(OnnxRuntimeCuda):
    """A graph opened in ONNX Runtime on `TensorrtExecutionProvider`; what TensorRT leaves runs on CUDA, not the CPU.

    Args:
        model: ONNX bytes.
        size: height and width of the images, for the engine's profile; None where the input is no image.
        threads: as for the CPU.
    """

    wanted = TENSORRT_PROVIDER
    library = "libonnxruntime_providers_tensorrt.so"
    records = False

    def __init__(self, model: bytes, *, size: tuple[int, int] | None, threads: int | None) -> None:
        self._size = size
        super().__init__(model, threads=threads)

    def images_a_run(self, size: tuple[int, int]) -> int:
        """See `Session`: what the engine is built for."""
        return _MAXIMUM

    def _prepare(self, runtime: ModuleType, options: Any) -> list[Any]:  # noqa: ANN401  (onnxruntime.SessionOptions)
        super()._prepare(runtime, options)
        cache = user_cache() / "onnxruntime-tensorrt"
        cache.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": os.fspath(cache),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": os.fspath(cache),
        }
        if self._size is not None:
            shapes = {batch: f"images:{batch}x{self._size[0]}x{self._size[1]}x3" for batch in (1, _USUAL, _MAXIMUM)}
            settings |= {
                "trt_profile_min_shapes": shapes[1],
                "trt_profile_opt_shapes": shapes[_USUAL],
                "trt_profile_max_shapes": shapes[_MAXIMUM],
            }
        return [(self.wanted, settings), (CUDA_PROVIDER, EXACT)]
