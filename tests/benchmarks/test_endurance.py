"""Many images cost each no more, and an attack that is killed finds what an unbroken one finds; more are benchmarks."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.evaluation.victims import bare_classifier
from pixelproof.benchmarks.endurance import grow, survive
from pixelproof.errors import PixelproofError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


def test_each_number_is_attacked_anew(lenet_median_bundle: Path):
    """From the first image on, with what an attack by the library finds."""
    found = grow(lenet_median_bundle, sizes=(3, 6))
    assert (found["classifier"], found["conditions"]["threads"]) == ("lenet", 1)
    with Pipeline(lenet_median_bundle, part="classifier", threads=1) as bare:
        right = np.flatnonzero(bare(sample().images).labels == sample().labels)
        victim = bare_classifier(bare)
        for row, size in zip(found["rows"], (3, 6), strict=True):
            shown = sample().take(right[:size])
            alone = attack(victim.predict, shown.images, shown.labels, order=victim.order)
            assert (row["images"], row["success"]) == (size, alone.success.mean())
            assert row["queries_per_image"] == alone.queries.mean()
            assert row["seconds_per_image"] > 0
            assert 30 < row["peak_mib"] < 2000


def test_kills_change_nothing(lenet_median_bundle: Path):
    found = survive(lenet_median_bundle, kills=3, images=8, method="corners")
    assert 1 <= found["kills"] == len(found["kill_moments_s"]) <= 3  # a machine that has sped up ends it before
    assert (found["same_outcomes"], found["of"]) == (8, 8)
    assert (found["classifier"], found["conditions"]["provider"]) == ("lenet", "CPUExecutionProvider")
    assert found["conditions"]["data"].startswith("CIFAR-10, 200 test images")


def test_an_attack_that_fails_is_told(lenet_median_bundle: Path):
    with pytest.raises(PixelproofError, match=r"the attack failed: .*unknown method 'cornerz'"):
        survive(lenet_median_bundle, kills=1, method="cornerz")


def test_the_command_reports_an_error_in_a_line(run_cli, tmp_path: Path):
    code, _, err = run_cli("bench", "survival", tmp_path / "none", "--kills", "1")
    assert code == 1
    assert err.startswith("error: there is no bundle")
