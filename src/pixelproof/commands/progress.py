"""Progress on stderr, with time left: bars on a terminal, and a line a minute in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

if TYPE_CHECKING:
    from pixelproof.attack.search.results import Progress as AttackProgress

Step = Callable[[int, int, int, float], None]
Report = Callable[[dict[str, Any]], None]

_LINE_EVERY_S = 60.0
_LEAST_SHARE = 1e-6  # from which on the time left is known


@dataclass
class _Stage:
    """Since when, and from which share on, a stage is shown, and the share that was shown last."""

    begun_s: float
    begun: float
    share: float


class _Stages:
    """How far each stage of a command has come."""

    def __init__(self, shown: ExitStack) -> None:
        self._shown, self._console = shown, Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[text]}"), console=self._console
        )
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, _Stage] = {}
        self._next_line_s = time.monotonic() + _LINE_EVERY_S
        self._lines_of = ""

    def show(self, stage: str, share: float, text: str) -> None:
        """`share`: 0 to 1, of the stage that is done; `text`: how much that is."""
        now = time.monotonic()
        known = self._stages.get(stage)
        if known is None or share < known.share:  # another of the same name
            known = self._stages[stage] = _Stage(now, share, share)
        known.share = share
        text += _time(now - known.begun_s, known.begun, share)
        if self._console.is_terminal:
            self._draw(stage, share, text)
        elif now >= self._next_line_s or (share >= 1 and self._lines_of == stage):
            self._next_line_s, self._lines_of = now + _LINE_EVERY_S, stage if share < 1 else ""
            self.say(f"{stage}: {text}")

    def say(self, line: str) -> None:
        """Print a line that stays, above the bars where there are any."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def seconds(self, stage: str) -> float:
        """Since the stage was first shown."""
        return time.monotonic() - self._stages[stage].begun_s if stage in self._stages else 0.0

    def _draw(self, stage: str, share: float, text: str) -> None:
        if not self._tasks:  # a bar without a stage would leave an empty line before an early error
            self._shown.enter_context(self._bars)
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=1.0, text="")
        self._bars.update(self._tasks[stage], completed=share, text=text)


def _time(seconds: float, begun: float, share: float) -> str:
    """What is left, if that is known yet, of a stage that was at `begun` when its time began; at its end, all."""
    if share >= 1:
        return f", {timedelta(seconds=round(seconds))}"
    if share - begun < _LEAST_SHARE:
        return ""
    return f", {timedelta(seconds=round(seconds * (1 - share) / (share - begun)))} left"


@contextmanager
def training_progress(name: str, epochs: int) -> Iterator[tuple[Step, Report]]:
    """Functions to call after some steps and after each epoch of a training run; each epoch gets a line."""
    with ExitStack() as shown:
        stages = _Stages(shown)
        started, speed = time.monotonic(), ""

        def step(epoch: int, steps: int, steps_an_epoch: int, loss: float) -> None:
            share = (epoch - 1 + steps / steps_an_epoch) / epochs
            stages.show(name, share, f"epoch {epoch} of {epochs}, loss {loss:.4f}{speed}")

        def report(entry: dict[str, Any]) -> None:
            nonlocal speed
            speed = f", {entry['images_per_s']:,.0f} images/s"
            named = {name: value for name, value in entry.items() if name not in {"epoch", "seconds", "images_per_s"}}
            figures = ", ".join(f"{name} {value:.4f}" for name, value in named.items())
            stages.say(f"{name} epoch {entry['epoch']}: {figures} ({time.monotonic() - started:,.0f} s)")

        yield step, report


@contextmanager
def attack_progress() -> Iterator[Callable[[str, "AttackProgress"], None]]:
    """A function to call with a search's name and how far it is; shows images, successes, queries/s and time left."""
    with ExitStack() as shown:
        stages = _Stages(shown)

        def report(stage: str, far: "AttackProgress") -> None:
            seconds = stages.seconds(stage)
            speed = f", {far.evaluated / seconds:,.0f} queries/s" if seconds >= 1 else ""
            stages.show(stage, far.share, f"{far.finished:,} of {far.images:,}, {far.successes:,} misclassified{speed}")

        yield report


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with a stage's name, how much of it is done, and how much there is."""
    with ExitStack() as shown:
        all_stages = _Stages(shown)
        yield lambda stage, done, total: all_stages.show(stage, done / max(total, 1), f"{done:,} of {total:,}")
