"""How each shipped network is trained: one recipe a name."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one training run.

    The learning rate rises linearly to `peak_rate` over the first `warmup` share of all steps and falls linearly to
    zero over the rest (one-cycle: Smith, Topin, "Super-convergence", 2019). The weights that are evaluated and
    shipped are an exponential moving average over the steps.

    A second, gentler cycle may follow (warm restart: Loshchilov, Hutter, "SGDR", 2017).

    Attributes:
        epochs: passes over the training set in the first cycle.
        restart_epochs: in the second cycle.
        restart_rate: highest learning rate of the second cycle.
        batch_size: images a step.
        optimiser: "sgd" (momentum 0.9, Nesterov) or "adamw".
        peak_rate: highest learning rate.
        weight_decay: on weights of convolutions and linear layers alone, not on biases or normalisation.
        warmup: share of all steps with a rising rate, 0 to 1.
        averaging: decay of the moving average a step, 0 (no averaging) to 1.
        label_smoothing: probability mass spread over all classes (classifiers).
        crop_margin: largest shift in pixels (classifiers).
        cutout_side: side of the blackened square in pixels, 0 for none (classifiers).
        early_share: share of the first cycle's steps that see images scaled down to `early_side` pixels, which cost
            less (classifiers that take any size).
        early_side: their height and width.
        half_precision: whether the weights are shipped as float16, and measured as such.
        corrupted_pixels: pixels an image that get a random colour (purifiers).
        corrupted_weight: how often such a pixel counts in the loss (`autoencoder`).
    """

    epochs: int
    restart_epochs: int = 0
    restart_rate: float = 0.0
    batch_size: int = 128
    optimiser: str = "sgd"
    peak_rate: float = 0.2
    weight_decay: float = 5e-4
    warmup: float = 0.2
    averaging: float = 0.998
    label_smoothing: float = 0.0
    crop_margin: int = 4
    cutout_side: int = 0
    early_share: float = 0.0
    early_side: int = 20
    half_precision: bool = False
    corrupted_pixels: int = 0
    corrupted_weight: float = 1.0

    @property
    def total_epochs(self) -> int:
        """Of both cycles."""
        return self.epochs + self.restart_epochs


RECIPES: dict[str, Recipe] = {
    "lenet": Recipe(
        epochs=90, batch_size=256, optimiser="adamw", peak_rate=6e-3, weight_decay=4e-2, averaging=0.999, crop_margin=2
    ),
    "autoencoder": Recipe(
        epochs=12, optimiser="adamw", peak_rate=3e-3, weight_decay=1e-4, corrupted_pixels=2, corrupted_weight=20.0
    ),
    "gated": Recipe(epochs=60, optimiser="adamw", peak_rate=1e-2, weight_decay=1e-4, corrupted_pixels=8),
    "pure_cnn": Recipe(epochs=12, peak_rate=0.2, label_smoothing=0.05, early_share=0.5, half_precision=True),
    "nin": Recipe(epochs=12, peak_rate=0.2, label_smoothing=0.05, early_share=0.5, half_precision=True),
    "densenet": Recipe(epochs=24, peak_rate=0.25, label_smoothing=0.05, early_share=0.36, half_precision=True),
    "wide_resnet": Recipe(epochs=16, peak_rate=0.15, label_smoothing=0.05, early_share=0.36, half_precision=True),
    "resnet": Recipe(epochs=40, peak_rate=0.25, label_smoothing=0.05, early_share=0.3),
}


def recipe_for(name: str, epochs: int | None = None) -> Recipe:
    """The recipe of `name`, or with `epochs` one cycle of just so many."""
    recipe = RECIPES[name]
    return recipe if epochs is None else replace(recipe, epochs=epochs, restart_epochs=0)
