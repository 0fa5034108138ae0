"""What the search asks of a network on the device."""

from typing import Protocol

from pixelproof.attack.cuda.device import DeviceArray


class DeviceNetwork(Protocol):
    """A classifier that reads its batch from the device's memory and leaves its probabilities there.

    TensorRT, ONNX Runtime with bound buffers, and PyTorch can each be one.
    """

    classes: int
    """Probabilities a row."""
    description: str
    """What runs it, and how precisely, for records."""
    recordable: bool
    """What `enqueue` launches may be recorded with what is launched around it, and replayed without it."""

    most_rows: int | None
    """Candidates a batch at most; None: any number."""

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """Work from now on with these: uint8 `(rows, H, W, 3)`, float32 `(rows, classes)`, on this stream."""

    def enqueue(self) -> None:
        """Launch the network on the stream; does not wait for it."""
