"""One-pixel attacks against any callable.

Import rule: knows a classifier only as a callable, uint8 images in, probabilities out; imports none of
pixelproof's other folders.
"""

from pixelproof.attack.corners import Corners
from pixelproof.attack.de import DifferentialEvolution
from pixelproof.attack.distinct import Distinct
from pixelproof.attack.driver import attack
from pixelproof.attack.gradient import gradient_order
from pixelproof.attack.incremental import Incremental
from pixelproof.attack.levels import Levels
from pixelproof.attack.results import AttackResult, Outcome
from pixelproof.attack.screened import Screened
from pixelproof.attack.strongest import Strongest
from pixelproof.attack.sweep import sweep_order
from pixelproof.attack.windowed import Windowed

__all__ = [
    "AttackResult",
    "Corners",
    "DifferentialEvolution",
    "Distinct",
    "Incremental",
    "Levels",
    "Outcome",
    "Screened",
    "Strongest",
    "Windowed",
    "attack",
    "gradient_order",
    "sweep_order",
]
