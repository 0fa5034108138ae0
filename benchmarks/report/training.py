"""How networks were trained, as the JSON beside their weights says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingResults:
    """How a network was trained: what lies as JSON beside its weights."""

    name: str
    command: str
    device: str
    wall_time_s: float
    training_images: int
    test_images: int
    versions: dict[str, str]
    figures: dict[str, float]
    """Of the shipped weights, on all test images."""
    history: tuple[dict[str, float], ...]
    """Each epoch's loss, figures (on some of the test images) and speed."""
