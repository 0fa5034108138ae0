"""One-pixel attacks against any callable.

Import rule: knows a classifier only as a callable, uint8 images in, probabilities out; imports none of
pixelproof's other folders.
"""

from pixelproof.attack.distinct import Distinct
from pixelproof.attack.driver import attack
from pixelproof.attack.gradient import gradient_order
from pixelproof.attack.incremental import Incremental
from pixelproof.attack.results import AttackResult
from pixelproof.attack.screened import Screened
from pixelproof.attack.sweep import sweep_order
from pixelproof.attack.windowed import Windowed

__all__ = ["AttackResult", "Distinct", "Incremental", "Screened", "Windowed", "attack", "gradient_order", "sweep_order"]
