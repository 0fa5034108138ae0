"""Names of before work for one more release, and say what they are called now."""

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.evaluation import Settings
from pixelproof.errors import UsageError


def darker(images: np.ndarray) -> np.ndarray:
    dark = 1 - images.mean(axis=(1, 2, 3), dtype=np.float64) / 255
    return np.stack([dark, 1 - dark], axis=1).astype(np.float32)


def test_the_result_of_an_attack_and_its_parameter_had_another_spelling():
    images, labels = np.full((1, 2, 2, 3), 130, np.uint8), np.array([1])
    given = np.zeros((1, 2, 2, 1, 3), np.uint8)
    with pytest.warns(DeprecationWarning, match=r"attack\(colours=\) is attack\(colors=\) now"):
        found = attack(darker, images, labels, method="corners", colours=given)
    assert found.success.all()
    with pytest.warns(DeprecationWarning, match="colours is colors now"):
        assert found.colours is found.colors


def test_the_evaluation_of_bundles_had_another_home():
    from pixelproof.benchmarks import defence

    with pytest.warns(DeprecationWarning, match="is pixelproof.attack.evaluation.Settings now"):
        assert defence.Settings is Settings
    with pytest.warns(DeprecationWarning, match="is pixelproof.benchmarks.defense.bench_defense now"):
        assert callable(defence.bench_defence)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = defence.nothing


def test_engines_were_built_by_another_spelling(make_bundle):
    from pixelproof.export.engines import build_engine

    with (
        pytest.warns(DeprecationWarning, match=r"build_engine\(flavour=\) is build_engine\(flavor=\) now"),
        pytest.raises(UsageError, match="unknown flavor 'rtx'"),
    ):
        build_engine(make_bundle(), flavour="rtx")
