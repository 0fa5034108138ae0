"""One-pixel attacks against any callable.

Import rule: knows a classifier only as a callable, uint8 images in, probabilities out; imports none of
pixelproof's other folders.
"""

from pixelproof.attack.methods.corners import Corners
from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.attack.methods.gradient import gradient_order
from pixelproof.attack.methods.levels import Levels
from pixelproof.attack.methods.strongest import Strongest
from pixelproof.attack.methods.sweep import sweep_order
from pixelproof.attack.predictors.cascade import Screened
from pixelproof.attack.predictors.memoized import Distinct
from pixelproof.attack.predictors.windows.incremental import Incremental
from pixelproof.attack.predictors.windows.windowed import Windowed
from pixelproof.attack.search.driver import attack
from pixelproof.attack.search.results import AttackResult, Outcome

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
