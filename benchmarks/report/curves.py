"""The report's learning curves: each figure of a training run, epoch by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelproof.benchmarks.formats import TrainingResults

WIDTH, HEIGHT = 300, 120  # of a curve's drawing, in its own units
_NOT_DRAWN = {"epoch", "seconds", "images_per_s"}


@dataclass(frozen=True)
class Curve:
    """One figure over the epochs, drawn in `WIDTH` x `HEIGHT`, larger values higher up."""

    name: str
    line: str
    """The points of an SVG polyline."""
    lowest: str
    highest: str
    last: str


@dataclass(frozen=True)
class LearningCurves:
    """A training run's curves."""

    title: str
    epochs: int
    curves: tuple[Curve, ...]


def learning_curves(runs: Sequence[TrainingResults]) -> list[LearningCurves]:
    """The curves of each run that has a history."""
    return [
        LearningCurves(run.name, len(run.history), tuple(_curve(name, run) for name in run.history[0] if _drawn(name)))
        for run in runs
        if run.history
    ]


def _drawn(name: str) -> bool:
    return name not in _NOT_DRAWN


def _curve(name: str, run: TrainingResults) -> Curve:
    values = [epoch[name] for epoch in run.history]
    low, high = min(values), max(values)
    across, up = WIDTH / max(1, len(values) - 1), HEIGHT / (high - low or 1.0)
    points = (f"{index * across:.1f},{HEIGHT - (value - low) * up:.1f}" for index, value in enumerate(values))
    lowest, highest, last = (f"{value:.4g}" for value in (low, high, values[-1]))
    return Curve(name.replace("_", " "), " ".join(points), lowest, highest, last)
