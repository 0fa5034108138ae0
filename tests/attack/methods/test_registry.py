"""A search of one's own is one file and one line: listed, it works wherever a method does."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.methods import METHODS, options_of
from pixelproof.attack.methods.grid import Levels
from pixelproof.attack.methods.strongest import steps


class Coarse(Levels):
    """The corners of the color cube, by the grid of another method."""

    is_random: ClassVar = False

    def plan(self, problem):
        return Levels(levels=2, order=self.order).plan(problem)


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "coarse", Coarse)


def darker(images: np.ndarray) -> np.ndarray:
    dark = 1 - images.mean(axis=(1, 2, 3), dtype=np.float64) / 255
    return np.stack([dark, 1 - dark], axis=1).astype(np.float32)


def test_the_library_takes_it_by_name_and_in_the_union_of_all():
    images, labels = np.full((1, 2, 2, 3), 130, np.uint8), np.array([1])
    assert attack(darker, images, labels, method="coarse").success.all()
    assert "order" in options_of("coarse")
    names = [step.method for step in steps(0, passed=False)]
    assert names == ["corners", "levels", "de", "de", "de", "coarse"]


def test_the_commands_take_it_and_find_what_corners_find(lenet_median_bundle: Path, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    for method in ("coarse", "corners"):
        arguments = [lenet_median_bundle, "--sample", "--images", "3", "--method", method, "--json"]
        found[method] = json.loads(run_cli("attack", *arguments).out)["attack_success"]
        (row,) = json.loads(run_cli("bench", "defense", *arguments).out)["rows"]
        assert row["attack_success"] == found[method]
        assert row["method"] == method
    assert found["coarse"] == found["corners"]
