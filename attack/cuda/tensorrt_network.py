"""A TensorRT engine as the network of a search on the device."""

from typing import Any

import numpy as np

from pixelproof.attack.cuda.device import DeviceArray, device_array
from pixelproof.errors import BackendError


class TensorRtNetwork:
    """An engine that reads "images", uint8 `(batch, H, W, 3)`, and gives "probabilities" and maybe more.

    Args:
        engine: TensorRT's `ICudaEngine`, of TensorRT or TensorRT for RTX.
        classes: probabilities a row.
    """

    def __init__(self, engine: Any, classes: int) -> None:  # noqa: ANN401
        self._engine, self.classes = engine, classes
        self.recordable = True
        self.description = "TensorRT"
        _, _, largest = engine.get_tensor_profile_shape("images", 0)
        self.most_rows: int | None = int(next(iter(largest)))
        self._context: Any = None

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """See `DeviceNetwork`; runs the engine once, as a recording asks for.

        Raises:
            BackendError: the engine's profile does not hold such a batch.
        """
        self._stream = stream
        context = self._engine.create_execution_context()
        if context is None or not context.set_input_shape("images", batch.shape):
            raise BackendError(
                f"the engine takes no batch of {batch.shape[0]} candidates. "
                f"Next: pixelproof build-engine BUNDLE --profile 1,64,{batch.shape[0]}"
            )
        bound = {"images": batch, "probabilities": probabilities}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            if name not in bound:  # outputs that the search does not read: a byte may be eight
                sides = tuple(context.get_tensor_shape(name))
                bound[name] = device_array(batch.device, (8 * int(np.prod(sides)),), np.uint8)
            context.set_tensor_address(name, bound[name].pointer)
        self._context = context
        self.recordable = bool(getattr(context, "is_stream_capturable", lambda _: True)(stream))
        self.enqueue()

    def enqueue(self) -> None:
        """See `DeviceNetwork`."""
        if not self._context.execute_async_v3(self._stream):
            raise BackendError("TensorRT refuses to run the engine. Next: pixelproof build-engine BUNDLE --rebuild")
