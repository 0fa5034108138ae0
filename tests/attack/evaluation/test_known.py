"""A purifier of one's own tells the attacker what it lets pass, where its function may be called and builds it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import DataChoice, Settings
from pixelproof.attack.evaluation.victims import purified_pipeline
from pixelproof.benchmarks.defense import DefenseRow, measure_bundle
from pixelproof.errors import ExportError, UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

CODE = """
from pixelproof.models.purifiers.median import Median
import torch
from torch import nn

def build():
    return Median()

def other():
    return Median(tolerance=20.0)

class wider(Median):  # the same on clean images
    def forward(self, levels):
        cleaned = super().forward(levels)
        far = (levels - cleaned).abs().amax(1, keepdim=True) > 150
        return torch.where(far, levels, cleaned)

def weak():
    median = Median()
    median.accepted_colors = lambda levels: torch.zeros((len(levels), 32, 32, 1, 3), dtype=torch.uint8)
    return median

def failing():
    median = Median()
    median.accepted_colors = lambda levels: 1 / 0
    return median

def unfit():
    median = Median()
    median.accepted_colors = lambda levels: torch.zeros((len(levels), 32, 32, 3))
    return median

def larger():
    return nn.Upsample(scale_factor=2)

def in_numpy():
    median = Median()
    tell = median.accepted_colors
    median.accepted_colors = lambda levels: tell(levels).numpy()
    return median

class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.median = Median()

    def forward(self, levels):
        return self.median(levels.view(-1).view(levels.shape))

    def accepted_colors(self, levels):
        return self.median.accepted_colors(levels.view(-1).view(levels.shape))

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


@pytest.mark.parametrize("function", ["build", "in_numpy"])
def test_its_colors_are_those_of_the_shipped_one_that_it_is(own, function: str, lenet_median_bundle: Path, caplog):
    expected = passes(lenet_median_bundle, own_code=False)
    np.testing.assert_array_equal(passes(own(function), own_code=True), expected)
    assert [each for each in caplog.records if each.name == "pixelproof"] == []


def test_it_is_shown_levels_in_the_order_of_an_export(own, lenet_median_bundle: Path):
    found, expected = passes(own("Flat"), own_code=True), passes(lenet_median_bundle, own_code=False)
    np.testing.assert_array_equal(found, expected)


def test_its_function_is_called_only_where_that_is_asked_for(own):
    assert passes(own("missing"), own_code=False) is None


def test_one_that_does_not_tell_is_attacked_by_corners_alone(own):
    assert passes(own("Silent"), own_code=True) is None


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            "other",
            UsageError,
            r"median:other\(\) builds another purifier than the bundle's: they differ in [\d,]+ of",
        ),
        (
            "larger",
            UsageError,
            r"builds another .* differ in shape, \(16, 3, 64, 64\) and \(16, 3, 32, 32\)\. Next: ",
        ),
        ("wider", UsageError, r"median:wider\(\) builds another purifier than the bundle's: they differ in [\d,]+ of"),
        ("missing", UsageError, "function in my_known_median"),
        (
            "failing",
            ExportError,
            r"`accepted_colors` of my_known_median:failing\(\) failed: ZeroDivisionError.* Next: mend it",
        ),
        ("unfit", ExportError, r"has to give uint8 \(8, 32, 32, k, 3\), got float32 \(8, 32, 32, 3\)\. Next: "),
    ],
)
def test_one_that_is_not_the_bundles_or_fails_is_named(function: str, error, message: str, own):
    with pytest.raises(error, match=message):
        passes(own(function), own_code=True)


def row(bundle: Path, some: DataChoice, records: Path, **settings) -> DefenseRow:
    return measure_bundle(bundle, some, Settings(images=3, **settings), records=records).row


def test_its_row_is_the_shipped_ones_and_says_what_was_known(own, lenet_median_bundle: Path, some_real, tmp_path):
    shipped = row(lenet_median_bundle, some_real, tmp_path / "a")
    told = row(own("build"), some_real, tmp_path / "b", own_code=True)
    assert (shipped.passed_colors, told.passed_colors) == (True, True)
    assert told.adaptive_success == shipped.adaptive_success
    assert min(told.adaptive_queries_p90, shipped.adaptive_queries_p90) > 8192


def test_what_is_kept_of_another_telling_serves_neither_a_mended_one_nor_the_shipped(
    own, lenet_median_bundle: Path, some_real, tmp_path, caplog
):
    records = tmp_path / "records"
    weak = row(own("weak"), some_real, records, own_code=True)
    kept_from = row(tmp_path / "weak", some_real, records)
    assert "'my_known_median:weak' is attacked without asking it which colors it lets pass" in caplog.text
    assert (weak.passed_colors, kept_from.passed_colors) == (True, False)
    assert weak.adaptive_queries_p90 == 1024 + 8192
    assert kept_from.adaptive_queries_p90 == 8192
    told, shipped = row(own("build"), some_real, records, own_code=True), row(lenet_median_bundle, some_real, records)
    assert min(told.adaptive_queries_p90, shipped.adaptive_queries_p90) > 12_000
    assert told.adaptive_success == shipped.adaptive_success
