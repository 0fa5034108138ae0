"""Names of before work for one more release, and say what they are called now."""

import numpy as np
import pytest
from torch import nn

from pixelproof import attack as attacks
from pixelproof.attack import attack
from pixelproof.attack.evaluation import Settings
from pixelproof.errors import UsageError
from pixelproof.models.purifiers import offers_of
from pixelproof.models.purifiers.median import Median


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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Distinct", "Memoized"),
        ("Screened", "Prefiltered"),
        ("gradient_order", "gradient_ranking"),
        ("sweep_order", "sweep_ranking"),
    ],
)
def test_what_attacks_are_made_of_had_other_names(old: str, new: str):
    with pytest.warns(DeprecationWarning, match=rf"pixelproof\.attack\.{old} is pixelproof\.attack\.{new} now"):
        assert getattr(attacks, old) is getattr(attacks, new)


def test_the_evaluation_of_bundles_had_another_home():
    from pixelproof.benchmarks import defence

    with pytest.warns(DeprecationWarning, match="is pixelproof.attack.evaluation.Settings now"):
        assert defence.Settings is Settings
    with pytest.warns(DeprecationWarning, match="is pixelproof.benchmarks.defense.bench_defense now"):
        assert callable(defence.bench_defence)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = defence.nothing


def test_calibration_images_had_another_home():
    from pixelproof.export import filling
    from pixelproof.export.own_images import Calibration

    with pytest.warns(DeprecationWarning, match="is pixelproof.export.own_images.Calibration now"):
        assert filling.Calibration is Calibration


def test_engines_were_built_by_another_spelling(make_bundle):
    from pixelproof.export.engines import build_engine

    with (
        pytest.warns(DeprecationWarning, match=r"build_engine\(flavour=\) is build_engine\(flavor=\) now"),
        pytest.raises(UsageError, match="unknown flavor 'rtx'"),
    ):
        build_engine(make_bundle(), flavour="rtx")


class OldNames(nn.Module):
    reach = 3
    whole_levels = True

    def passes(self, images):
        return images

    def folded(self):
        return self


class OwnMedian(Median):
    def passes(self, images):
        return images


class Delegating(nn.Module):
    def __getattr__(self, name):
        return getattr(OldNames(), name)


@pytest.mark.parametrize("module", [OldNames(), Delegating()])
def test_a_purifiers_attributes_had_other_names(module):
    with pytest.warns(DeprecationWarning, match="of a purifier") as warned:
        found = offers_of(module)
    assert [str(warning.message).split(";")[0] for warning in warned] == [
        "the attribute 'passes' of a purifier is 'accepted_colors' now",
        "the attribute 'reach' of a purifier is 'receptive_field' now",
        "the attribute 'whole_levels' of a purifier is 'whole_values' now",
        "the attribute 'folded' of a purifier is 'fused' now",
    ]
    assert found.accepted_colors(7) == 7
    assert (found.receptive_field, found.whole_values) == (3, True)
    assert isinstance(found.fused(), OldNames)


def test_a_derived_purifiers_old_name_stands_for_the_inherited_new_one():
    with pytest.warns(DeprecationWarning, match="'passes' of a purifier is 'accepted_colors' now"):
        found = offers_of(OwnMedian())
    assert found.accepted_colors(7) == 7
    assert found.receptive_field == 1


def test_a_cascade_was_called_a_screen():
    with pytest.warns(DeprecationWarning, match=r"Settings\(screen=\) is Settings\(cascade=\) now") as warned:
        settings = Settings(screen="int8")
    assert warned[0].filename == __file__
    assert settings == Settings(cascade="int8")
    with pytest.warns(DeprecationWarning, match=r"Settings\.screen is Settings\.cascade now"):
        assert settings.screen == "int8"
    from pixelproof.attack.evaluation import cascades

    with pytest.warns(DeprecationWarning, match="cascades.SCREENS is .*cascades.CASCADES now"):
        assert cascades.SCREENS is cascades.CASCADES


@pytest.mark.parametrize("old", [["--screen", "fp8"], ["--screen=fp8"]])
def test_the_option_was_called_screen(old, lenet_median_bundle, run_cli):
    _, out, err = run_cli("attack", lenet_median_bundle, "--sample", "--images", "1", *old)
    note, error = err.splitlines()
    assert (out, note) == ("", "--screen is --cascade now; the next release has that one")
    assert error.startswith("error: unknown cascade 'fp8'")
    assert "--screen" not in run_cli("attack", "--help").out
