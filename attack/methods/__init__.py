"""The search methods, one file each, and what ranks their candidates.

A method is a dataclass whose fields are its options, with a `plan`, and `is_random`: whether it draws. What it needs,
it declares by name: one with a field `order` is given a candidate ranking, one with `colors` what a purifier accepts,
one with `population` the settings of an evolution. To add one, write a file here and list it in `METHODS`: then
`attack`, `bench defense` and `strongest` take it.
"""

from dataclasses import fields
from typing import Any

from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.attack.methods.grid import Corners, Levels
from pixelproof.attack.methods.strongest import Strongest

METHODS: dict[str, type[Any]] = {
    "corners": Corners,
    "levels": Levels,
    "de": DifferentialEvolution,
    "strongest": Strongest,
}
"""The methods by name; `strongest` is all before it, in this order."""


def options_of(method: str) -> frozenset[str]:
    """The names of a method's options."""
    return frozenset(field.name for field in fields(METHODS[method]))
