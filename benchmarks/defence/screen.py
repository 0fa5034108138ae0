"""A screen for the victims of a measurement, or none."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from pixelproof.benchmarks.defence.victims import Predict, Victim
from pixelproof.errors import missing_extra
from pixelproof.runtime import Pipeline

BehindScreen = Callable[[Victim, Predict], Victim]
"""A victim and its `predict` as deployed to the victim behind a screen."""


def opened_screen(name: str | None, classifier: Pipeline) -> AbstractContextManager[BehindScreen]:
    """What puts a victim behind the screen `name`; it leaves it as it is where that is None.

    Errors as for `open_screen`, and `PixelproofError` where what it exports with is missing.
    """
    if name is None:
        return nullcontext(lambda victim, _: victim)
    try:
        from pixelproof.benchmarks.screening import open_screen
    except ModuleNotFoundError:
        raise missing_extra("PyTorch", "export", "a screen") from None
    return open_screen(name, classifier)
