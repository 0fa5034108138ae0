"""A purifier of one's own tells the attacker what it lets pass, where its function may be called and builds it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pixelproof.benchmarks.defence import Settings, measure_bundle
from pixelproof.benchmarks.defence.victims import purified_pipeline
from pixelproof.errors import UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

CODE = """
from pixelproof.models.purifiers.median import Median
from torch import nn

def build():
    return Median()

def other():
    return Median(tolerance=20.0)

class Silent(nn.Module):
    def __init__(self):
        super().__init__()
        self.median = Median()

    def forward(self, levels):
        return self.median(levels)
"""


@pytest.fixture
def own(lenet_median_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`own("build")`: LeNet behind the median as the function `build` of one's own made it."""
    (tmp_path / "my_known_median.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)

    def make(function: str) -> Path:
        folder = tmp_path / function
        shutil.copytree(lenet_median_bundle, folder)
        manifest = json.loads((folder / "bundle.json").read_text())
        manifest["purifier"]["name"] = f"my_known_median:{function}"
        (folder / "bundle.json").write_text(json.dumps(manifest))
        return folder

    return make


def passes(bundle: Path, *, own_code: bool):
    with Pipeline(bundle) as pipeline, Pipeline(bundle, part="classifier") as bare:
        found = purified_pipeline(pipeline, bare, windows=False, own_code=own_code).passes
        return None if found is None else found(sample().images[:2])


def test_its_colours_are_those_of_the_shipped_one_that_it_is(own, lenet_median_bundle: Path, caplog):
    expected = passes(lenet_median_bundle, own_code=False)
    np.testing.assert_array_equal(passes(own("build"), own_code=True), expected)
    assert [each for each in caplog.records if each.name == "pixelproof"] == []


def test_its_function_is_called_only_where_that_is_asked_for(own, caplog):
    assert passes(own("build"), own_code=False) is None
    assert "'my_known_median:build' is attacked without asking it which colours it lets pass" in caplog.text


def test_one_that_does_not_tell_is_attacked_by_corners_alone(own):
    assert passes(own("Silent"), own_code=True) is None


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "other",
            r"my_known_median:other\(\) builds another purifier than the bundle's: they differ in [\d,]+ of 8,192",
        ),
        ("missing", "function in my_known_median"),
    ],
)
def test_one_that_is_not_the_bundles_is_refused(function: str, message: str, own):
    with pytest.raises(UsageError, match=message):
        passes(own(function), own_code=True)


def test_its_row_is_the_shipped_ones_and_says_what_was_known(own, lenet_median_bundle: Path, some_real, tmp_path):
    bundle = own("build")
    told, kept_from, shipped = (
        measure_bundle(path, some_real, Settings(images=3, own_code=known), folder=tmp_path / "records").row
        for path, known in ((bundle, True), (bundle, False), (lenet_median_bundle, False))
    )
    assert (told.passed_colours, kept_from.passed_colours, shipped.passed_colours) == (True, False, True)
    assert told.adaptive_success == shipped.adaptive_success
    assert told.adaptive_queries_median == shipped.adaptive_queries_median
    assert kept_from.adaptive_queries_p90 == 8192  # an image that withstands the corners is not asked of anything else
    assert told.adaptive_queries_p90 > 8192
