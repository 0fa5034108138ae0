"""What an adaptive attacker knows of a bundle's purifier: its module, and so which colors it lets pass."""

import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ExportError, UsageError
from pixelproof.models import PURIFIERS, build_purifier, is_shipped
from pixelproof.models.purifiers import offers_of
from pixelproof.runtime import Pipeline

if TYPE_CHECKING:
    from torch import nn

Passes = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Images, uint8 `(n, H, W, 3)`, to the colors that a purifier lets pass at each position, uint8 `(n, H, W, k, 3)`."""

_log = logging.getLogger("pixelproof")

_COMPARED = 8  # real images on which a purifier of one's own has to be the bundle's


def shipped_purifier(bundle: Pipeline) -> "nn.Module | None":
    """The bundle's purifier in PyTorch; None for one that is not shipped, `UsageError` where it has other weights."""
    made_of = bundle.manifest["purifier"]
    if made_of["name"] not in PURIFIERS:
        return None
    if not is_shipped(made_of):  # one that is not known would be attacked more weakly than it looks
        raise UsageError(
            f"the bundle's purifier '{made_of['name']}' has other weights than those shipped with this version, so an "
            "attacker cannot know it. Next: pixelproof export again, or --protocol transfer"
        )
    return build_purifier(made_of["name"])


def own_passes(bundle: Pipeline) -> Passes | None:
    """Which colors a purifier of one's own accepts, by the function that the manifest names, `module:function`.

    The function is called: whoever wrote the manifest chose it, so that this has to be asked for. None where the
    manifest names no function, or what it builds has no `accepted_colors`.

    Raises:
        UsageError: there is no such function here, or what it builds is not what the bundle purifies with.
        ExportError: it fails, or `accepted_colors` does or gives something else than it has to.
    """
    name: str = bundle.manifest["purifier"]["name"]
    if ":" not in name:
        return None
    from pixelproof.export.classifiers.torch_module import frozen
    from pixelproof.export.others_code import build_own

    module = frozen(build_own(name, "pixelproof export CLASSIFIER --purifier"))
    images = _real_images(bundle)
    _check_same(bundle, name, module, images)
    passes = passes_of(module, contiguous=True)
    if passes is not None:
        _check_passes(name, passes, images)
    return passes


def passes_of(purifier: "nn.Module | None", *, contiguous: bool = False) -> Passes | None:
    """Its method `accepted_colors` for images on the host; None where there is none.

    It takes float32 `(n, 3, H, W)`, 0..255, and returns uint8 `(n, H, W, k, 3)`. `contiguous`: in that order in memory
    too, as an export shows them; shipped ones are asked as their records were made, whose last bits it moves.
    """
    accepted = offers_of(purifier).accepted_colors
    if accepted is None:
        return None
    import torch

    def colors(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.no_grad():
            levels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
            levels = accepted(levels.contiguous() if contiguous else levels)
        found: NDArray[np.uint8] = torch.as_tensor(levels).numpy()  # an array will do
        return found

    return colors


def told_sha256(bundle: Pipeline, passes: Passes) -> str:
    """The SHA-256 of the colors for some real images: records of weaker `accepted_colors` must not serve another."""
    return hashlib.sha256(np.ascontiguousarray(passes(_real_images(bundle))).tobytes()).hexdigest()


def warn_of_silence(bundle: Pipeline, own_code: bool) -> None:
    """Say that a purifier of one's own is not asked which colors it lets pass, and what would have it asked."""
    name: str = bundle.manifest["purifier"]["name"]
    if name in PURIFIERS:
        return
    if ":" not in name:
        remedy = "export it by a function, --purifier MODULE:FUNCTION, then --own-code"
    elif not own_code:
        remedy = "--own-code (in Python, own_code=True), where it has a method `accepted_colors` that tells"
    else:
        remedy = "give it a method `accepted_colors`, if there are colors that it leaves alone"
    _log.warning("'%s' is attacked without asking it which colors it lets pass. Next: %s", name, remedy)


def _real_images(bundle: Pipeline) -> NDArray[np.uint8]:
    from pixelproof.export.reference import real_images

    return real_images(bundle.image_size)[:_COMPARED]


def _check_same(bundle: Pipeline, name: str, module: "nn.Module", images: NDArray[np.uint8]) -> None:
    """Refuse what does not purify as the bundle does; a level is what rounding may cost."""
    import torch

    from pixelproof.export.reference import to_levels

    images = np.concatenate([images, _spotted(images)])
    expected = bundle.purify(images).astype(np.float32)
    with torch.no_grad():
        found = _called(f"what {name}() builds", module, torch.from_numpy(to_levels(images)))
    what = f"they differ in shape, {_shape(found)} and {(len(images), 3, *bundle.image_size)}"
    if _shape(found) == (len(images), 3, *bundle.image_size):
        levels = np.floor(found.clamp(0, 255).numpy() + np.float32(0.5)).transpose(0, 2, 3, 1)
        off = int((~(np.abs(levels - expected) <= 1)).any(axis=-1).sum())
        what = f"they differ in {off:,} of {expected[..., 0].size:,} pixels of real images" if off else ""
    if what:
        raise UsageError(
            f"{name}() builds another purifier than the bundle's: {what}. "
            "Next: export it again, or leave out --own-code"
        )


def _spotted(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The images with every fifth pixel of every fifth row at a corner of the color cube: what purifiers act on."""
    spotted = images.copy()
    spots = spotted[:, 2::5, 2::5]
    spots[...] = np.random.default_rng(0).integers(0, 2, spots.shape, np.uint8) * 255
    return spotted


def _check_passes(name: str, passes: Passes, images: NDArray[np.uint8]) -> None:
    found = _called(f"`accepted_colors` of {name}()", passes, images)
    n, height, width, _ = images.shape
    shape = _shape(found)
    if len(shape) != 5 or shape[:3] != (n, height, width) or shape[3] < 1 or shape[4] != 3 or found.dtype != np.uint8:
        raise ExportError(
            f"`accepted_colors` of {name}() has to give uint8 ({n}, {height}, {width}, k, 3), got {found.dtype} "
            f"{shape}. Next: mend it, or leave out --own-code"
        )


def _called(what: str, function: Callable[[Any], Any], given: Any) -> Any:  # noqa: ANN401  (the user's own)
    from pixelproof.export.others_code import cause, interrupts_kept

    try:
        with interrupts_kept():
            return function(given)
    except Exception as error:  # whatever the user's code raises
        raise ExportError(f"{what} failed: {cause(error)}. Next: mend it, or leave out --own-code") from error


def _shape(value: Any) -> tuple[int, ...]:  # noqa: ANN401  (whatever the user's code gave)
    return tuple(getattr(value, "shape", ()))
