"""What every screen gives."""

from dataclasses import dataclass

from pixelproof.attack.evaluation.victims import Predict


@dataclass(frozen=True)
class Cheap:
    """A classifier in lower precision.

    Attributes:
        identity: what the records of a search depend on that it screens.
        predict: uint8 `(n, H, W, 3)` to probabilities `(n, classes)`.
    """

    identity: str
    predict: Predict
