"""The purifiers: float32 `(n, 3, H, W)` on the 0..255 scale in, the same out, any size.

To add one, write its file here and list it in `pixelproof.models.registry`. What it may offer beside its `forward`, a
shipped one or one's own, `Offers` states.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Offers:
    """What a purifier's module offers; all of it is optional, and read here alone.

    Attributes:
        passes: its method `passes`: images, float32 `(n, 3, H, W)`, 0..255, to the accepted colors, the extreme ones
            that it leaves alone at each position, uint8 `(n, H, W, k, 3)`, a tensor or an array. An attacker who knows
            the purifier tries them.
        reach: its receptive field: rows and columns from a changed pixel to the furthest output that it moves.
        whole_levels: pixel values 0..255 come out as whole pixel values, and need no rounding.
        folded: its method `folded`: the same purifier in the fused form that is exported.
    """

    passes: Callable[[Any], Any] | None
    reach: int | None
    whole_levels: bool
    folded: "Callable[[], nn.Module] | None"


def offers_of(module: "nn.Module | None") -> Offers:
    """What `module` offers; nothing where it is None."""
    found = {name: getattr(module, name, None) for name in ("passes", "reach", "folded")}
    return Offers(**found, whole_levels=bool(getattr(module, "whole_levels", False)))
