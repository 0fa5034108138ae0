"""What an adaptive attacker knows of a bundle's purifier: its module, and so which colours it lets pass."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import UsageError
from pixelproof.models import PURIFIERS, build_purifier, is_shipped
from pixelproof.runtime import Pipeline

if TYPE_CHECKING:
    from torch import nn

Passes = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Images, uint8 `(n, H, W, 3)`, to the colours that a purifier lets pass at each position, uint8 `(n, H, W, k, 3)`."""

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


def own_purifier(bundle: Pipeline, own_code: bool) -> "nn.Module | None":
    """The purifier of one's own that the bundle was exported with; None where that is not known.

    Args:
        bundle: whose manifest names a function, `module:function`.
        own_code: call that function. Whoever wrote the manifest chose it, so that this has to be asked for.

    Raises:
        UsageError: there is no such function here, or what it builds is not what the bundle purifies with.
        ExportError: the function fails.
    """
    name: str = bundle.manifest["purifier"]["name"]
    if ":" not in name:
        return None
    if not own_code:
        _log.warning(
            "'%s' is attacked without asking it which colours it lets pass. Next: --own-code, where it has a method "
            "`passes` that tells",
            name,
        )
        return None
    from pixelproof.export.classifiers.own_code import build_own
    from pixelproof.export.purifiers import Purifier
    from pixelproof.export.tracing import frozen

    module = frozen(build_own(name, "pixelproof export CLASSIFIER --purifier"))
    _check_same(bundle, Purifier(name, None, module))
    return module


def passes_of(purifier: "nn.Module | None") -> Passes | None:
    """Its method `passes` for images on the host; None where there is none.

    `passes` takes float32 `(n, 3, H, W)`, 0..255, and gives uint8 `(n, H, W, k, 3)`.
    """
    tell: Any = getattr(purifier, "passes", None)
    if tell is None:
        return None
    import torch

    def colours(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.no_grad():
            levels = tell(torch.from_numpy(images).permute(0, 3, 1, 2).float())
        found: NDArray[np.uint8] = levels.numpy()
        return found

    return colours


def _check_same(bundle: Pipeline, purifier: Any) -> None:  # noqa: ANN401  (a Purifier, of the extra `export`)
    """Refuse what does not purify as the bundle does; a level is what rounding may cost."""
    from pixelproof.export.reference import real_images, to_levels

    images = real_images(bundle.image_size)[:_COMPARED]
    expected = bundle.purify(images).astype(np.float32)
    found = np.floor(purifier.run(to_levels(images)) + 0.5).transpose(0, 2, 3, 1)
    if off := int((np.abs(found - expected) > 1).any(axis=-1).sum()):
        raise UsageError(
            f"{purifier.name}() builds another purifier than the bundle's: they differ in {off:,} of "
            f"{expected[..., 0].size:,} pixels of real images. Next: export it again, or leave out --own-code"
        )
