"""Sweeps around a GPU: the network there, in half precision, screens the candidates of a search on the CPU."""

from dataclasses import replace

from pixelproof.attack import Screened
from pixelproof.attack.cuda import DevicePredict
from pixelproof.attack.cuda.device import Device
from pixelproof.attack.evaluation.victims import Victim

MARGIN = 0.25
"""In nats: 30 times the largest lead that float16 left a true class that had lost it (0.008, of 4,409 corners on LeNet
and ResNet-32, in PyTorch on the CPU)."""

ROWS = 3200  # candidates a batch


def screened_on(device: Device, victim: Victim, size: tuple[int, int], images: int) -> Victim:
    """The victim with its candidates screened on the GPU; what is in doubt and each success are the bundle's own.

    Args:
        device: the GPU.
        victim: its records are kept apart from those of searches that try every candidate.
        size: height and width of the images.
        images: how many are to be attacked.

    Raises:
        PixelproofError: its network does not run there, or there is too little memory.
    """
    candidates = images * size[0] * size[1] * 8  # the corners of the color cube
    cheap = DevicePredict(device, victim.on_device(candidates), size, ROWS)
    predict = Screened(victim.predict, cheap, margin=MARGIN, batch_size=cheap.rows)
    return replace(victim, predict=predict, identity=f"{victim.identity}, screened on a GPU at {MARGIN} nats")
