"""Progress bars on stderr, with time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pixelproof.attack.results import Progress as AttackProgress

Step = Callable[[int, int, int, float], None]
Report = Callable[[dict[str, Any]], None]


def bar(*columns: str) -> Progress:
    """A progress bar on stderr: description, bar, done of total, `columns` (rich markup), time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def training_progress(name: str, epochs: int) -> Iterator[tuple[Step, Report]]:
    """Functions to call after some steps and after each epoch of a training run."""
    with bar("{task.fields[loss]}", "{task.fields[speed]}") as progress:
        task = progress.add_task(name, total=None, loss="", speed="")
        started = time.perf_counter()

        def step(epoch: int, steps: int, steps_an_epoch: int, loss: float) -> None:
            done, total = (epoch - 1) * steps_an_epoch + steps, epochs * steps_an_epoch
            if progress.tasks[task].total is None:  # a resumed run starts in the middle: the time left is not of that
                progress.reset(task, completed=done, total=total)
            description = f"{name}, epoch {epoch} of {epochs}"
            progress.update(task, description=description, completed=done, loss=f"loss {loss:.4f}")

        def report(entry: dict[str, Any]) -> None:
            progress.update(task, speed=f"{entry['images_per_s']:,.0f} images/s")
            figures = ", ".join(
                f"{k} {v:.4f}" for k, v in entry.items() if k not in {"epoch", "seconds", "images_per_s"}
            )
            elapsed = time.perf_counter() - started
            progress.console.print(f"{name} epoch {entry['epoch']}: {figures} ({elapsed:,.0f} s)", highlight=False)

        yield step, report


@contextmanager
def attack_progress() -> Iterator[Callable[[str, "AttackProgress"], None]]:
    """A function to call with a search's name and how far it is; shows images, successes, queries/s and time left."""
    progress = bar("{task.fields[fell]}", "{task.fields[speed]}")
    tasks: dict[str, TaskID] = {}
    started: dict[str, float] = {}
    with ExitStack() as shown:

        def report(stage: str, far: "AttackProgress") -> None:
            if not tasks:  # a bar without a stage would leave an empty line before an early error
                shown.enter_context(progress)
            if stage not in tasks:
                tasks[stage], started[stage] = progress.add_task(stage, fell="", speed=""), time.perf_counter()
            seconds = time.perf_counter() - started[stage]
            speed = f"{far.evaluated / seconds:,.0f} queries/s" if seconds > 0 else ""
            progress.update(
                tasks[stage], completed=far.finished, total=far.images, fell=f"{far.successes:,} fell", speed=speed
            )

        yield report


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with a stage's name, how much of it is done, and how much there is; a bar a stage."""
    progress = bar()
    tasks: dict[str, TaskID] = {}
    with ExitStack() as shown:

        def report(stage: str, done: int, total: int) -> None:
            if not tasks:  # a bar without a stage would leave an empty line before an early error
                shown.enter_context(progress)
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage)
            progress.update(tasks[stage], completed=done, total=total)

        yield report
