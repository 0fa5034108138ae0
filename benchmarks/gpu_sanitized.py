"""An attack for compute-sanitizer to watch: our kernels alone on the GPU, around a network in NumPy on the host."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import attack
from pixelproof.attack.cuda import DevicePredict, attack_on_device, open_device
from pixelproof.attack.cuda.device import DeviceArray

_CLASSES = 4


class HostNetwork:
    """A linear classifier in integers, so that the host's sums are the same in any order; see `DeviceNetwork`."""

    recordable = False
    description = "NumPy"
    most_rows: int | None = None
    classes = _CLASSES

    def __init__(self, size: tuple[int, int]) -> None:
        self.weights = np.random.default_rng(5).integers(-9, 10, (*size, 3, _CLASSES))

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """See `DeviceNetwork`."""
        self._batch, self._probabilities = batch, probabilities

    def enqueue(self) -> None:
        """See `DeviceNetwork`; waits."""
        self._probabilities.write(self(self._batch.read()))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of uint8 `(n, H, W, 3)`."""
        scores = np.tensordot(images.astype(np.int64), self.weights, 3)
        above = scores - scores.min(1, keepdims=True) + 1
        probabilities: NDArray[np.float32] = (above / above.sum(1, keepdims=True)).astype(np.float32)
        return probabilities


def main() -> None:
    """Attack a few random images, with one pixel and with three, and compare with the CPU."""
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), np.uint8)
    network = HostNetwork(images.shape[1:3])
    labels = network(images).argmax(1)
    settings: dict[str, Any] = {"population": 40, "generations": 10, "seed": 3}
    with open_device() as device:
        for pixels in (1, 3):
            expected = attack(network, images, labels, method="de", pixels=pixels, **settings)
            found = attack_on_device(device, network, images, labels, pixels=pixels, lanes=5, rows=48, **settings)
            for name in ("success", "pixels", "colors", "queries"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        predict, rows = DevicePredict(device, network, images.shape[1:3], rows=48), np.arange(100) % len(images)
        seen = predict.predict_changes(images, rows, np.arange(100)[:, None] % 63, images[rows, :1, 0])
        shown = images[rows]
        shown.reshape(100, -1, 3)[np.arange(100), np.arange(100) % 63] = images[rows, 0, 0]
        np.testing.assert_array_equal(seen, network(shown), err_msg="of_changes")
    print(f"same as the CPU, {int(expected.success.sum())} of {len(images)} attacks succeeded")


if __name__ == "__main__":
    main()
