"""The screens by name, and a victim behind one of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from pixelproof.attack import Screened
from pixelproof.benchmarks.defence.screen import BehindScreen
from pixelproof.benchmarks.defence.victims import BATCH_SIZE, Predict, Victim
from pixelproof.benchmarks.screening.bfloat16 import open_bfloat16
from pixelproof.benchmarks.screening.cheap import Cheap
from pixelproof.benchmarks.screening.int8 import open_int8
from pixelproof.errors import UsageError, unknown_name
from pixelproof.models import is_shipped
from pixelproof.runtime import Pipeline


@dataclass(frozen=True)
class Screen:
    """A way to make a classifier cheaper.

    Attributes:
        margin: in nats; see `Screened`. Above what the cheap network is wrong by at candidates that change the label.
        open: makes it, of a shipped classifier's name and the CPU threads that a call may use.
    """

    margin: float
    open: Callable[[str, int | None], AbstractContextManager[Cheap]]


SCREENS = {
    # the largest lead that it left a true class which had lost it: 0.70, of 3,372 on ResNet-32
    "int8": Screen(1.0, open_int8),
    "bf16": Screen(0.5, open_bfloat16),
}
"""int8 is what a bundle can be deployed in; bf16 needs a CPU with AMX to be fast, and is nearer to the truth."""


@contextmanager
def open_screen(name: str, classifier: Pipeline) -> Iterator[BehindScreen]:
    """What puts a victim behind the screen `name`; records of screened searches are kept apart from those of full ones.

    Args:
        name: one of `SCREENS`.
        classifier: the bare one of a bundle; the victim's may stand behind a purifier.

    Raises:
        UsageError: no such screen, or the classifier has not the shipped weights, which are what a screen is made of.
        ExportError: int8 costs it more than five points of accuracy.
    """
    screen, classifier_name = screen_named(name), screenable(classifier)
    with screen.open(classifier_name, classifier.threads) as cheap:

        def behind(victim: Victim, deployed: Predict) -> Victim:
            predict = Screened(deployed, victim.around(cheap.predict), margin=screen.margin, batch_size=BATCH_SIZE)
            identity = f"{victim.identity}, screened by {cheap.name} at {screen.margin} nats"
            return replace(victim, predict=predict, identity=identity)

        yield behind


def screen_named(name: str) -> Screen:
    """One of `SCREENS`; `UsageError` where there is none of that name."""
    if name not in SCREENS:
        raise unknown_name("screen", name, SCREENS, "choose one with --screen NAME")
    return SCREENS[name]


def screenable(classifier: Pipeline) -> str:
    """Its name; `UsageError` where a screen would be made of another network than that."""
    made_of = classifier.manifest["classifier"]
    name = str(made_of["name"])
    if not is_shipped(made_of):
        raise UsageError(
            f"classifier '{name}' has not the shipped weights, and only those are screened. "
            "Next: leave out --screen, or export a shipped classifier"
        )
    return name
