"""A screen for the victims of a measurement, or none. What makes screens is loaded only where one is asked for."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType

from pixelproof.attack.evaluation.victims import Predict, Victim
from pixelproof.errors import missing_extra
from pixelproof.runtime import Pipeline

BehindScreen = Callable[[Victim, Predict], Victim]
"""A victim and its `predict` as deployed to the victim behind a screen."""


def check_screen_or_none(name: str | None, bundle: Pipeline, pixels: int = 1) -> None:
    """Refuse a screen that the search has no use for, before the long work; None passes.

    Errors as for `screening.check_screen`, and `PixelproofError` where a package is missing.
    """
    if name is not None:
        _screening().check_screen(name, bundle, pixels)


def screen_or_none(name: str | None, classifier: Pipeline) -> AbstractContextManager[BehindScreen]:
    """What puts a victim behind the screen `name`; it leaves it as it is where that is None.

    Errors as for `screening.open_screen`, and `PixelproofError` where a package is missing.
    """
    if name is None:
        return nullcontext(lambda victim, _: victim)
    opened: AbstractContextManager[BehindScreen] = _screening().open_screen(name, classifier)
    return opened


def _screening() -> ModuleType:
    try:
        from pixelproof.attack.evaluation import screening
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "PyTorch", "export", "a screen") from None
    return screening
