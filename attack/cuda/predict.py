"""A network on the device as the searches on the CPU ask for one."""

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device, DeviceArray, device_array
from pixelproof.attack.cuda.network import DeviceNetwork


class DevicePredict:
    """Uint8 `(n, H, W, 3)` to float32 probabilities `(n, classes)`, both on the host, the network on the device.

    Args:
        device: the GPU; see `open_device`.
        network: the classifier on it, or the whole pipeline.
        size: height and width of the images.
        rows: images that the network is shown at a time.

    Raises:
        PixelproofError: the device has too little memory, or does not run the network.
    """

    def __init__(self, device: Device, network: DeviceNetwork, size: tuple[int, int], rows: int) -> None:
        self._network, self.rows = network, min(rows, network.most_rows or rows)
        self._batch = device_array(device, (self.rows, *size, 3), np.uint8)
        self._probabilities = device_array(device, (self.rows, network.classes), np.float32)
        network.bind(self._batch, self._probabilities, device.stream)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's probabilities, float32 `(n, classes)`, of any number of images, uint8 `(n, H, W, 3)`."""
        return ask(self._network, self._batch, self._probabilities, images)


def ask(
    network: DeviceNetwork, batch: DeviceArray, probabilities: DeviceArray, images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """What the network, bound to `batch` and `probabilities`, says of images, uint8 `(n, H, W, 3)`, batch by batch."""
    rows = batch.shape[0]
    found = [np.empty((0, network.classes), np.float32)]
    for start in range(0, len(images), rows):
        part = images[start : start + rows]
        fillers = np.zeros((rows - len(part), *part.shape[1:]), np.uint8)
        batch.write(np.concatenate([part, fillers]) if len(fillers) else part)
        network.enqueue()
        found.append(probabilities.read()[: len(part)])
    return np.concatenate(found)
