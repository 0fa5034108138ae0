"""An attack that is killed at random moments finds what an unbroken one finds; fifty kills are a benchmark."""

from pathlib import Path

import pytest

from pixelproof.benchmarks import endurance as survival
from pixelproof.errors import PixelproofError


def test_kills_change_nothing(lenet_median_bundle: Path):
    found = survival.survive(lenet_median_bundle, kills=3, images=8, method="corners")
    assert 1 <= found["kills"] == len(found["kill_moments_s"]) <= 3  # a machine that has sped up ends it before
    assert (found["same_outcomes"], found["of"]) == (8, 8)
    assert (found["classifier"], found["conditions"]["provider"]) == ("lenet", "CPUExecutionProvider")
    assert found["conditions"]["data"].startswith("CIFAR-10, 200 test images")


def test_an_attack_that_fails_is_told(lenet_median_bundle: Path):
    with pytest.raises(PixelproofError, match=r"the attack failed: .*unknown method 'cornerz'"):
        survival.survive(lenet_median_bundle, kills=1, method="cornerz")


def test_the_command_reports_an_error_in_a_line(run_cli, tmp_path: Path):
    code, _, err = run_cli("bench", "survival", tmp_path / "none", "--kills", "1")
    assert code == 1
    assert err.startswith("error: there is no bundle")
