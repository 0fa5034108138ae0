"""A network on the device as the searches on the CPU ask for one, and the canvas that draws candidates there."""

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device, DeviceArray, Sizes, device_array
from pixelproof.attack.cuda.networks import DeviceNetwork
from pixelproof.attack.kernels.sources import CHUNK
from pixelproof.attack.search.protocol import Predictor


class DeviceCanvas:
    """Shows candidates in the rows of a batch, each on its lane's image, and keeps what a row holds.

    Args:
        device: where the batch lies.
        batch: uint8 `(rows, H, W, 3)`.
        sizes: of the populations.
    """

    def __init__(self, device: Device, batch: DeviceArray, sizes: Sizes) -> None:
        self._device, self._batch, self._sizes = device, batch, sizes
        self.rows = batch.shape[0]
        self._held = device_array(device, (self.rows,), np.int32, -1)
        self._drawn = device_array(device, (self.rows, sizes.pixels), np.int32, 0)

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


class DevicePredict(Predictor):
    """Uint8 `(n, H, W, 3)` to float32 probabilities `(n, classes)`, both on the host, the network on the device.

    Args:
        device: the GPU; see `open_device`.
        network: the classifier on it, or the whole pipeline.
        size: height and width of the images.
        rows: images that the network is shown at a time.

    Raises:
        PixelproofError: the device has too little memory, or does not run the network.
    """

    takes_changes = True

    def __init__(self, device: Device, network: DeviceNetwork, size: tuple[int, int], rows: int) -> None:
        self._device, self._network = device, network
        self.rows = min(rows, network.most_rows or rows)
        self._batch = device_array(device, (self.rows, *size, 3), np.uint8)
        self._probabilities = device_array(device, (self.rows, network.classes), np.float32)
        network.bind(self._batch, self._probabilities, device.stream)
        self._held = _Held(device, size)
        self._drawings: dict[int, _Drawing] = {}  # by a candidate's pixels
        self._last: _Drawing | None = None  # whose candidates the batch shows

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's probabilities, float32 `(n, classes)`, of any number of images, uint8 `(n, H, W, 3)`."""
        self._last = None
        return ask(self._network, self._batch, self._probabilities, images)

    def predict_changes(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        """See `Predictor`; the device draws the candidates itself: of each, some 30 bytes cross to it.

        `images` stay on the device until others are given, so they must not change.
        """
        drawing = self._drawing(positions.shape[1], images)
        found = [np.empty((0, self._network.classes), np.float32)]
        for start in range(0, len(positions), self.rows):
            part = slice(start, start + self.rows)
            drawing.draw(self._held.images, image_of_row[part], positions[part], colors[part])
            self._network.enqueue()
            found.append(self._probabilities.read()[: len(positions[part])])
        return np.concatenate(found)

    def _drawing(self, pixels: int, images: NDArray[np.uint8]) -> "_Drawing":
        """What draws candidates of so many pixels on these images, which are on the device then."""
        if pixels not in self._drawings:
            self._drawings[pixels] = _Drawing(self._device, self._batch, pixels)
        drawing = self._drawings[pixels]
        if self._held.hold(images) or drawing is not self._last:
            drawing.forget()
        self._last = drawing
        return drawing


class _Held:
    """Images on the device, as they were last given."""

    def __init__(self, device: Device, size: tuple[int, int]) -> None:
        self._device = device
        self.images = device_array(device, (0, *size, 3), np.uint8)
        self._on_host: NDArray[np.uint8] | None = None

    def hold(self, images: NDArray[np.uint8]) -> bool:
        """Have these there, uint8 `(n, H, W, 3)`; whether they are others than before."""
        if images is self._on_host:
            return False
        room = self.images.shape[0]
        if len(images) > room:  # twice as much at least: what is left behind is freed with the device
            self.images = device_array(self._device, (max(len(images), 2 * room), *images.shape[1:]), np.uint8)
        self._device.write(self.images.pointer, np.ascontiguousarray(images))
        self._on_host = images
        return True


class _Drawing:
    """Candidates drawn on the network's batch by the search's own kernels: each row is a lane of one candidate.

    Args:
        device: where the batch lies.
        batch: uint8 `(rows, H, W, 3)`.
        pixels: of a candidate.
    """

    def __init__(self, device: Device, batch: DeviceArray, pixels: int) -> None:
        rows, height, width, _ = batch.shape
        self._canvas = DeviceCanvas(device, batch, Sizes(rows, 1, pixels, height, width))
        self._width = width
        self._image_of, self._shown = (device_array(device, (rows,), np.int32) for _ in range(2))
        self._running = device_array(device, (rows,), np.int32, 0)  # generation 0: no lane has stopped
        self._numbers = device_array(device, (rows, 1, pixels, 5), np.float32)
        self.forget = self._canvas.forget

    def draw(
        self,
        images: DeviceArray,
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> None:
        """Launch what shows these candidates in the first rows; the others hold what they held."""
        count, rows = len(image_of_row), self._canvas.rows
        numbers = np.zeros(self._numbers.shape, np.float32)
        numbers[:count, 0, :, 0], numbers[:count, 0, :, 1] = np.divmod(positions, self._width)
        numbers[:count, 0, :, 2:] = colors
        self._numbers.write(numbers)
        self._image_of.write(np.pad(image_of_row, (0, rows - count)))
        shown = np.arange(rows)
        shown[count:] = -1
        self._shown.write(shown)
        self._canvas.place(images, self._image_of, self._shown, self._running)
        self._canvas.draw(images, self._image_of, self._numbers, self._shown, self._running)


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
