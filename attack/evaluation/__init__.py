"""What a bundle withstands: attacks on its bare classifier, and on the whole by an attacker who knows the purifier.

Import rule: may import runtime, models and export, as the rest of `attack` must not.
"""

from pixelproof.attack.evaluation.attack_run import attack_bundle
from pixelproof.attack.evaluation.evaluate import Measured, evaluate
from pixelproof.attack.evaluation.settings import DataChoice, Settings

__all__ = ["DataChoice", "Measured", "Settings", "attack_bundle", "evaluate"]
