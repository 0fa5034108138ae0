"""A bundle and images whose attacks a few lines of arithmetic foretell, and real ones.

The stand-in's purifier takes values above 200 down to 200; its classifier compares 4 R - B (red), 2 G (green) and
B - 4 R (blue) of the image's mean (see `make_bundle`). One of the 24 pixels moves red by 4/24 at most.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import DataChoice, Settings
from pixelproof.attack.evaluation.attack_run import AttackRun, attack_bundle
from pixelproof.benchmarks.defense import BundleResults, measure_bundle
from pixelproof.models.data import ImageSet, sample
from pixelproof.runtime import Pipeline

# color, label and what becomes of the image
FALLS = (77, 153, 0), 0  # red by 0.008: falls to either attack, and stays fallen once purified
HOLDS = (180, 0, 0), 0  # red by far
LOST = (115, 255, 0), 1  # green by 0.2; purified, red by 0.2: the purifier alone loses it
UNDONE = (77, 173, 0), 1  # green by 0.15, of which a pixel of 255 takes 0.17 and a pixel of 200 takes 0.14
WRONG = (180, 0, 0), 2  # red, and labeled blue


@pytest.fixture
def stand_in(make_bundle: Callable[..., Path]) -> Path:
    """The stand-in bundle, of a purifier that nothing more is known of."""
    return make_bundle(purifier="cap")


@pytest.fixture
def choice() -> DataChoice:
    """One image of each kind, in this order: wrong, falls, holds, lost, undone."""
    return solid(WRONG, FALLS, HOLDS, LOST, UNDONE)


def solid(*kinds: tuple[tuple[int, int, int], int]) -> DataChoice:
    images = np.stack([np.full((4, 6, 3), color, np.uint8) for color, _ in kinds])
    labels = np.array([label for _, label in kinds], np.int64)
    return DataChoice(ImageSet(images, labels, ("red", "green", "blue")), "solid images")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that searches have asked a bundle's graphs for since: theirs alone have 256 rows."""
    sizes: list[int] = []
    for name in ("predict", "purify"):
        inner = getattr(Pipeline, name)

        def counted(pipeline: Pipeline, images: np.ndarray, inner=inner) -> np.ndarray:
            if len(images) == 256:
                sizes.append(len(images))
            return inner(pipeline, images)

        monkeypatch.setattr(Pipeline, name, counted)
    return sizes


@pytest.fixture
def measure(stand_in: Path, choice: DataChoice, tmp_path: Path) -> Callable[..., BundleResults]:
    """Measure the stand-in: `measure(images=N, ...settings)`; always the same folder of records."""

    def run(**settings) -> BundleResults:
        return measure_bundle(stand_in, choice, Settings(**settings), records=tmp_path / "records")

    return run


@pytest.fixture
def run_attack(stand_in: Path, choice: DataChoice, tmp_path: Path) -> Callable[..., AttackRun]:
    """Attack the stand-in as `pixelproof attack` does, with its settings."""

    def run(
        bundle: Path = stand_in,
        choice: DataChoice = choice,
        protocol: str = "transfer",
        device=None,
        report=None,
        **asked,
    ) -> AttackRun:
        return attack_bundle(
            bundle,
            choice,
            Settings(**{"images": 100, **asked}),
            protocol=protocol,
            records=tmp_path / "records",
            device=device,
            **({} if report is None else {"report": report}),
        )

    return run


@pytest.fixture(scope="session")
def some_real() -> DataChoice:
    """Five shipped test images that LeNet gets right; it takes few queries but for the first, which withstands all."""
    return DataChoice(sample().take(np.array([0, 1, 3, 8, 20])), "five shipped test images")
