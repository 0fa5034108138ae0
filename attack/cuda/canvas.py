"""The network's batch on the device: what draws candidates on it there, as `attack/canvas.py` does on the host."""

import numpy as np

from pixelproof.attack.cuda.device import Device, DeviceArray, Sizes, device_array
from pixelproof.attack.kernels.sources import CHUNK


class DeviceCanvas:
    """Shows candidates in the rows of a batch, each on its lane's image, and remembers what a row holds.

    Args:
        device: where the batch lies.
        batch: uint8 `(rows, H, W, 3)`.
        sizes: of the populations.
    """

    def __init__(self, device: Device, batch: DeviceArray, sizes: Sizes) -> None:
        self._device, self._batch, self._sizes = device, batch, sizes
        self.rows = batch.shape[0]
        self._held = device_array(device, (self.rows,), np.int32)
        self._drawn = device_array(device, (self.rows, sizes.pixels), np.int32)
        self._drawn.write(0)
        self.forget()

    def forget(self) -> None:
        """Let no row count as holding an image: each is copied anew."""
        self._held.write(-1)

    def place(self, images: DeviceArray, image_of: DeviceArray, shown: DeviceArray, generations: DeviceArray) -> None:
        """Launch what copies into each row its lane's image, where the row holds another.

        Args:
            images: uint8 `(n, H, W, 3)`.
            image_of: each lane's image, int32 `(lanes,)`.
            shown: each row's candidate, by its place among all lanes', or -1, int32 `(rows,)`.
            generations: each lane's, negative where it has stopped, int32 `(lanes,)`.
        """
        pieces = -(-3 * self._sizes.height * self._sizes.width // CHUNK)
        placing = self._batch, images, image_of, self._held, shown, generations, self.rows, self._sizes
        self._device.launch("place_images", self.rows * pieces, placing)

    def draw(
        self,
        images: DeviceArray,
        image_of: DeviceArray,
        candidates: DeviceArray,
        shown: DeviceArray,
        generations: DeviceArray,
    ) -> None:
        """Launch what draws each row's candidate, once `place` was launched with the same.

        `candidates`: float32 `(lanes, size, pixels, 5)`, of a pixel row, column, red, green, blue; the rest as there.
        """
        rows = self._batch, self._held, self._drawn, images, image_of, candidates
        self._device.launch("draw_candidates", self.rows, (*rows, shown, generations, self.rows, self._sizes))
