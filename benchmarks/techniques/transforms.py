"""The usual input transformations, from Pillow and scikit-image, in the strengths that the literature uses on CIFAR-10.

Sources: Xu, Evans, Qi, "Feature squeezing: detecting adversarial examples in deep neural networks", NDSS 2018 (median
filter, bit depth); Guo, Rana, Cisse, van der Maaten, "Countering adversarial images using input transformations", ICLR
2018 (JPEG at quality 75, total variation, after Rudin, Osher, Fatemi, 1992, by the algorithm of Chambolle, 2004).
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from pixelproof.attack.evaluation.clean import Transform
from pixelproof.errors import missing_extra


def _each(change: Callable[[Image.Image], Image.Image]) -> Transform:
    """`change` for each image of a batch."""

    def transform(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])

    return transform


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def _total_variation(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        from skimage.restoration import denoise_tv_chambolle
    except ModuleNotFoundError as error:
        raise missing_extra("scikit-image", "techniques", "total-variation denoising") from error
    denoise: Any = denoise_tv_chambolle
    smooth = [denoise(image / 255.0, weight=0.05, channel_axis=-1) for image in images]
    levels: NDArray[np.uint8] = (np.stack(smooth) * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return levels


TRANSFORMS: dict[str, Transform] = {
    "median filter 3x3": _each(lambda image: image.filter(ImageFilter.MedianFilter(3))),
    "Gaussian blur, radius 1": _each(lambda image: image.filter(ImageFilter.GaussianBlur(1))),
    "bit depth 4": _each(lambda image: ImageOps.posterize(image, 4)),
    "JPEG, quality 75": _each(_jpeg),
    "total variation, weight 0.05": _total_variation,
}
"""By name, with their settings."""
