"""What is measured: on which images, by which attack."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods import METHODS, options_of
from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.deprecation import field_renamed
from pixelproof.errors import UsageError, unknown_name
from pixelproof.export.own_images import Labeled, labeled_images
from pixelproof.models.data import ImageSet, sample
from pixelproof.models.data.sample import sample_files
from pixelproof.runtime import Pipeline, read_bundle

PROTOCOLS = ("transfer", "adaptive")
STRONGEST = "strongest"
"""The union of every method: corners (of accepted colors too), levels, `de` from three seeds, and one's own."""


class DataChoice(Labeled):
    """Images to attack, and how the user chooses them."""

    @classmethod
    def sample(cls) -> "DataChoice":
        """The 200 shipped test images; `files` are what `pixelproof data export` calls them, by test index."""
        return cls(sample(), "CIFAR-10, 200 test images (the shipped sample, 20 a class)", sample_files())

    @classmethod
    def at(cls, root: Path | None, bundle: Path) -> "DataChoice":
        """All 10,000 test images, or one's own for this bundle; errors as for `labeled_images` and `read_bundle`."""
        opened = read_bundle(bundle)
        found = labeled_images(root, opened.class_names, opened.image_size)
        return cls(found.images, found.name, found.files)


@field_renamed("screen", "cascade")
@dataclass(frozen=True)
class Settings:
    """How a bundle is measured.

    Attributes:
        method: one of `METHODS`.
        images: attack the first so many images that the bare classifier gets right (all, where there are fewer).
        pixels: changed at most.
        seed: of the attacks' randomness.
        adaptive: attack the whole pipeline too.
        target: index of the class to reach; None where any wrong one will do.
        cascade: leave out what this cheaper network is sure of (one of `CASCADES`), so that nothing is exhausted; `de`
            goes by its probabilities then, and may take another way.
        own_code: build purifiers of one's own by the functions that the bundles name, so that the attacker knows which
            colors they accept; see `own_passes`.
        population, generations: of `de`, as for `DifferentialEvolution`.

    Raises:
        UsageError: no images, an unknown method, or `population` or `generations` is not the default, and the method
            does not evolve.
    """

    method: str = "corners"
    images: int = 200
    pixels: int = 1
    seed: int = 0
    adaptive: bool = True
    target: int | None = None
    cascade: str | None = None
    own_code: bool = False
    population: int = DifferentialEvolution.population
    generations: int = DifferentialEvolution.generations

    def __post_init__(self) -> None:
        if self.images < 1:
            raise UsageError(f"{self.images} images are none to attack. Next: images=100, or --images 100")
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS, "Settings(method=NAME), or --method NAME")
        for name in self.evolution:
            if not self.evolves:
                raise UsageError(
                    f"{self.method} evolves nothing, so it has no {name}. Next: leave out --{name}, or --method de"
                )

    @property
    def asks_passes(self) -> bool:
        """Whether the adaptive attack tries the colors that a purifier states it accepts."""
        return "colors" in options_of(self.method)

    @property
    def evolves(self) -> bool:
        """Whether `de` is the method, or part of it."""
        return "population" in options_of(self.method)

    @property
    def evolution(self) -> dict[str, int]:
        """What `de` is given that is not its default."""
        given = {"population": self.population, "generations": self.generations}
        return {name: value for name, value in given.items() if value != getattr(DifferentialEvolution, name)}


def check_fit(bundle: Path, pipeline: Pipeline, data: ImageSet) -> None:
    """Refuse data of another size, or of other classes: by number, and by name where any is the bundle's."""
    if data.images.shape[1:3] != pipeline.image_size or len(pipeline.class_names) != len(data.class_names):
        height, width = pipeline.image_size
        raise UsageError(
            f"bundle '{bundle}' takes {height}x{width} images of {len(pipeline.class_names)} classes; the data are "
            f"{data.images.shape[1]}x{data.images.shape[2]} of {len(data.class_names)}. Next: --data FOLDER, your own "
            "images, with a subfolder for each class"
        )
    if pipeline.class_names != data.class_names and set(pipeline.class_names) & set(data.class_names):
        raise UsageError(  # with no name in common, they may be the same classes in another language
            f"bundle '{bundle}' tells classes apart in this order: {', '.join(pipeline.class_names)}; the data have "
            f"{', '.join(data.class_names)}. Next: export it again with --classes in the order of its outputs, or "
            "measure it alone on --data FOLDER with a subfolder for each class"
        )


def check_some(bundle: Path, chosen: NDArray[np.int64], data: ImageSet, target: int | None = None) -> None:
    """Refuse to attack nothing: the victim gets no image right, or those of the `target` class alone."""
    if not len(chosen):
        others = "" if target is None else f" that are not of class '{data.class_names[target]}'"
        remedy = "another --target, or check" if others else "check"
        raise UsageError(
            f"bundle '{bundle}' gets right none of the {len(data)} images{others}, so there is nothing to attack. "
            f"Next: {remedy} that its classes stand in the order of the data's"
        )
