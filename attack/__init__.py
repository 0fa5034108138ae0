"""One-pixel attacks against any callable.

Import rule: knows a classifier only as a callable, uint8 images in, probabilities out; imports none of
pixelproof's other folders.
"""

from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.attack.methods.grid import Corners, Levels
from pixelproof.attack.methods.ranking import gradient_ranking, sweep_ranking
from pixelproof.attack.methods.strongest import Strongest
from pixelproof.attack.predictors.cascade import Prefiltered
from pixelproof.attack.predictors.memoized import Memoized
from pixelproof.attack.predictors.windows.incremental import Incremental
from pixelproof.attack.predictors.windows.windowed import Windowed
from pixelproof.attack.search.driver import attack
from pixelproof.attack.search.results import AttackResult, Outcome
from pixelproof.deprecation import moved

__all__ = [
    "AttackResult",
    "Corners",
    "DifferentialEvolution",
    "Incremental",
    "Levels",
    "Memoized",
    "Outcome",
    "Prefiltered",
    "Strongest",
    "Windowed",
    "attack",
    "gradient_ranking",
    "sweep_ranking",
]

__getattr__ = moved(
    __name__,
    {
        "Distinct": f"{__name__}:Memoized",
        "Screened": f"{__name__}:Prefiltered",
        "gradient_order": f"{__name__}:gradient_ranking",
        "sweep_order": f"{__name__}:sweep_ranking",
    },
)
