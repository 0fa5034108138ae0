"""The screens by name, and a victim behind one of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from pixelproof.attack import Screened
from pixelproof.attack.evaluation.screen import BehindScreen
from pixelproof.attack.evaluation.screening.bfloat16 import open_bfloat16
from pixelproof.attack.evaluation.screening.cheap import Cheap
from pixelproof.attack.evaluation.screening.int8 import open_int8
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, Victim
from pixelproof.errors import UsageError, unknown_name
from pixelproof.models import is_shipped
from pixelproof.runtime import Pipeline


@dataclass(frozen=True)
class Screen:
    """A way to make a classifier cheaper.

    Attributes:
        margin: in nats; see `Screened`. Above what the cheap network is wrong by at candidates that change the label.
        open: makes it, of a bundle's bare classifier with the shipped weights, for as many CPU threads a call.
    """

    margin: float
    open: Callable[[Pipeline], AbstractContextManager[Cheap]]


SCREENS = {
    # the largest lead that it left a true class which had lost it: 0.70, of 3,372 on ResNet-32
    "int8": Screen(1.0, open_int8),
    # likewise: 0.09, of 3,372 on ResNet-32
    "bf16": Screen(0.5, open_bfloat16),
}
"""int8 is what a bundle can be deployed in; bf16 is nearer to the truth, and fast with AMX or AVX-512 BF16."""


def check_screen(name: str, classifier: Pipeline, pixels: int = 1) -> None:
    """Refuse a screen that there is not, or that the search has no use for.

    Args:
        name: one of `SCREENS`.
        classifier: a bundle, or its bare classifier.
        pixels: that the search may change.

    Raises:
        UsageError: no such screen, more than one pixel, or a classifier that is not a shipped one in float32: a screen
            is made of that.
    """
    if name not in SCREENS:
        raise unknown_name("screen", name, SCREENS, "choose one with --screen NAME")
    if pixels > 1:
        raise UsageError(
            f"{pixels} pixels are not screened: a screen was validated for one. Next: leave out --screen, or --pixels 1"
        )
    made_of, precision = classifier.manifest["classifier"], classifier.manifest["precision"]
    if not is_shipped(made_of) or precision != "fp32":
        raise UsageError(
            f"classifier '{made_of['name']}' in {precision} is not screened: only shipped weights in fp32 are. "
            "Next: leave out --screen, or export a shipped classifier"
        )


@contextmanager
def open_screen(name: str, classifier: Pipeline) -> Iterator[BehindScreen]:
    """What puts a victim behind the screen `name`; records of screened searches are kept apart from those of full ones.

    Args:
        name: one of `SCREENS`.
        classifier: the bare one of a bundle; the victim's may stand behind a purifier.

    Raises:
        UsageError: as for `check_screen`.
        ExportError: int8 costs it more than five points of accuracy.
    """
    check_screen(name, classifier)
    screen = SCREENS[name]
    with screen.open(classifier) as cheap:

        def behind(victim: Victim, deployed: Predict) -> Victim:
            predict = Screened(deployed, victim.around(cheap.predict), margin=screen.margin, batch_size=BATCH_SIZE)
            identity = f"{victim.identity}, screened by {cheap.identity} at {screen.margin} nats"
            return replace(victim, predict=predict, identity=identity)

        yield behind
