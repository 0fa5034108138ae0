"""Whether images and bundle fit each other, asked before the long work."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import UsageError
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline


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
