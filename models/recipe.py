"""How a network is trained."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one training run.

    The learning rate rises linearly to `peak_rate` over the first `warmup` share of all steps. It falls linearly to
    zero over the rest (one-cycle: Smith, Topin, "Super-convergence", 2019). The weights that are evaluated and shipped
    are an exponential moving average over the steps.

    Attributes:
        epochs: passes over the training set.
        batch_size: images a step.
        optimizer: "sgd" (momentum 0.9, Nesterov) or "adamw".
        peak_rate: highest learning rate.
        weight_decay: on weights of convolutions and linear layers alone, not on biases or normalization.
        warmup: share of all steps with a rising rate, 0 to 1.
        averaging: decay of the moving average a step, 0 (no averaging) to 1.
        label_smoothing: probability mass spread over all classes (classifiers).
        crop_margin: largest shift in pixels (classifiers).
        cutout_side: side of the blackened square in pixels, 0 for none (classifiers).
        sides: (share, side) with rising shares, for classifiers that take any size. Up to this share of all steps,
            images are scaled to this height and width, at which they cost less. After the last they keep their own
            size.
        whitened: whether the first convolution starts from filters that whiten the images (classifiers).
        half_precision: whether the weights are shipped as float16, and measured as such.
        corrupted_pixels: pixels an image that get a random color (purifiers).
        corrupted_weight: how often such a pixel counts in the loss (`autoencoder`).
    """

    epochs: int
    batch_size: int = 128
    optimizer: str = "sgd"
    peak_rate: float = 0.2
    weight_decay: float = 5e-4
    warmup: float = 0.2
    averaging: float = 0.998
    label_smoothing: float = 0.0
    crop_margin: int = 4
    cutout_side: int = 0
    sides: tuple[tuple[float, int], ...] = ()
    whitened: bool = False
    half_precision: bool = False
    corrupted_pixels: int = 0
    corrupted_weight: float = 1.0

    def settings(self) -> dict[str, Any]:
        """All of it, as JSON gives it back; "optimiser" is how the first weights' records spell it."""
        settings: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"optimiser" if name == "optimizer" else name: value for name, value in settings.items()}

    def side(self, done: float) -> int | None:
        """The height and width that images are scaled to after `done` (0 to 1) of all steps; None for their own."""
        return next((side for share, side in self.sides if done < share), None)
