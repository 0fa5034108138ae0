"""The purifiers: float32 `(n, 3, H, W)` on the 0..255 scale in, the same out, any size.

To add one, write its file here and list it in `pixelproof.models.registry`. `Offers` states what it may offer beside
its `forward`, a shipped one or one's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pixelproof.deprecation import warn_renamed

if TYPE_CHECKING:
    from torch import nn

_OLD_NAMES = {
    "accepted_colors": "passes",
    "receptive_field": "reach",
    "whole_values": "whole_levels",
    "fused": "folded",
}


@dataclass(frozen=True)
class Offers:
    """What a purifier's module offers; all of it is optional, and read here alone.

    Attributes:
        accepted_colors: its method of that name. It takes images, float32 `(n, 3, H, W)`, 0..255. It returns the
            extreme colors that the purifier leaves alone at each position: uint8 `(n, H, W, k, 3)`, a tensor or an
            array. An attacker who knows the purifier tries them.
        receptive_field: its radius, in rows and in columns: a changed input pixel moves no output pixel further away
            than this. It is 0 where every output pixel depends on its own input pixel alone. The output pixels that an
            input pixel moves lie in a square of side `2 * receptive_field + 1` around it. None: unknown or unbounded.
        whole_values: whole pixel values, 0 to 255, come out as whole pixel values, and need no rounding.
        fused: its method of that name, which returns the same purifier in the fused form that is exported.
    """

    accepted_colors: Callable[[Any], Any] | None
    receptive_field: int | None
    whole_values: bool
    fused: "Callable[[], nn.Module] | None"


def offers_of(module: "nn.Module | None") -> Offers:
    """What `module` offers, by the names in `Offers` or with a warning by those before; nothing where it is None."""
    found = {} if module is None else {name: getattr(module, _name_in(module, name), None) for name in _OLD_NAMES}
    return Offers(
        accepted_colors=found.get("accepted_colors"),
        receptive_field=found.get("receptive_field"),
        whole_values=bool(found.get("whole_values")),
        fused=found.get("fused"),
    )


def _name_in(module: "nn.Module", name: str) -> str:
    """The name by which `module` offers `name`: the new one or the old, whichever its most derived class defines."""
    old = _OLD_NAMES[name]
    homes = (vars(home) for home in (module, *type(module).__mro__))
    defined = next((known for home in homes for known in (name, old) if known in home), None)
    if defined == old or (defined is None and not hasattr(module, name) and hasattr(module, old)):
        warn_renamed(f"the attribute '{old}' of a purifier", f"'{name}'")
        return old
    return name
