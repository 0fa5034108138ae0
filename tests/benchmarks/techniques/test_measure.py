"""Techniques on one classifier: the purifiers' figures are the defense table's, and counts are recounted by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelproof.attack.evaluation import DataChoice, Settings
from pixelproof.benchmarks.defense import measure_bundle
from pixelproof.benchmarks.report.page import render_report
from pixelproof.benchmarks.results import read_results, write_results
from pixelproof.benchmarks.techniques import TRANSFORMS, TechniqueResults, TechniqueSettings, bench_techniques
from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256
from pixelproof.statistics import Share

SETTINGS = TechniqueSettings(images=4, adaptive_images=2, rounds=2, slowest_query_ms=1e9)


@pytest.fixture(scope="module")
def some() -> DataChoice:
    """Five shipped test images that LeNet gets right, and that fall within few queries."""
    return DataChoice(sample().take(np.array([1, 3, 8, 20, 26])), "five shipped test images")


@pytest.fixture(scope="module")
def compared(lenet_median_bundle: Path, some: DataChoice, tmp_path_factory) -> tuple[TechniqueResults, Path]:
    """The comparison in front of LeNet, and its folder of records."""
    folder = tmp_path_factory.mktemp("records")
    return bench_techniques([lenet_median_bundle], some, SETTINGS, records=folder, command="as typed"), folder


def test_every_technique_has_a_row_and_the_purifiers_come_first(compared):
    results, _ = compared
    assert [row.technique for row in results.rows] == ["median", *TRANSFORMS]
    assert {row.classifier for row in results.rows} == {"lenet"}
    assert results.conditions.command == "as typed"
    assert results.conditions.provider == "CPUExecutionProvider"
    assert all(row.milliseconds > 0 for row in results.rows)
    assert all(row.adaptive_success.n == 2 for row in results.rows)


def test_a_purifiers_row_is_that_of_the_defense_table(compared, lenet_median_bundle: Path, some: DataChoice):
    results, folder = compared
    defense = measure_bundle(lenet_median_bundle, some, Settings(images=4), records=folder).row
    row = results.rows[0]
    assert (row.n, row.attack_success) == (defense.n, defense.attack_success)
    assert (row.defense_rate, row.performance_loss) == (defense.defense_rate, defense.performance_loss)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_counts_are_those_of_a_recount(name: str, compared, lenet_median_bundle: Path, some: DataChoice):
    results, folder = compared
    row = next(row for row in results.rows if row.technique == name)
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        seen = bare.predict(TRANSFORMS[name](some.images.images)).argmax(1)
        assert row.performance_loss == Share(int((seen != some.images.labels).sum()), 5)
        files = [path.read_text().splitlines() for path in folder.glob("*.jsonl")]
        transfer = next(lines for lines in files if json.loads(lines[0])["victim"] == bare_sha(lenet_median_bundle))
        records = [record for record in map(json.loads, transfer[1:]) if record["success"]]
        undone = 0
        for record in records:
            image = some.images.images[record["image"]].copy()
            ((at_row, column),), (color,) = record["pixels"], record["colours"]
            image[at_row, column] = color
            undone += bare.predict(TRANSFORMS[name](image[None])).argmax() == some.images.labels[record["image"]]
    assert row.defense_rate == Share(int(undone), len(records))


def bare_sha(bundle: Path) -> str:
    return graph_sha256((bundle / "classifier.onnx").read_bytes())


def test_slow_techniques_and_none_asked_for_are_not_attacked(lenet_median_bundle: Path, some: DataChoice, compared):
    for settings in (
        TechniqueSettings(images=4, adaptive_images=2, rounds=1, slowest_query_ms=0.0),
        TechniqueSettings(images=4, rounds=1),
    ):
        results = bench_techniques([lenet_median_bundle], some, settings, records=compared[1], command="")
        assert {row.adaptive_success for row in results.rows} == {None}


def test_a_screened_comparison_has_the_same_figures_and_says_so(
    lenet_median_bundle: Path, some: DataChoice, compared, monkeypatch
):
    monkeypatch.delitem(TRANSFORMS, "total variation, weight 0.05")  # the slowest by far
    settings = replace(SETTINGS, cascade="int8")
    results = bench_techniques([lenet_median_bundle], some, settings, records=compared[1], command="")
    for mine, right in zip(results.rows, compared[0].rows[:-1], strict=True):
        assert replace(mine, milliseconds=right.milliseconds, screen=None) == right
        assert mine.screen == "int8"
    assert "Candidates of the attacks were screened in int8." in results.tables()[0].notes
    assert len(compared[0].tables()[0].notes) == len(results.tables()[0].notes) - 1


def test_what_has_no_cascade_is_refused_before_anything_is_timed(make_bundle, some: DataChoice, tmp_path: Path):
    bundle = make_bundle(purifier="cap", size=(32, 32))
    some = DataChoice(replace(some.images, labels=some.images.labels % 3, class_names=("a", "b", "c")), "some")
    with pytest.raises(UsageError, match="has no cascade: only shipped weights in fp32 have"):
        bench_techniques([bundle], some, replace(SETTINGS, cascade="int8"), records=tmp_path / "r", command="")
    assert not (tmp_path / "r").exists()


def test_results_survive_their_file_and_stand_in_the_report(compared, tmp_path: Path):
    results, _ = compared
    write_results(tmp_path / "techniques.json", results)
    assert read_results(tmp_path / "techniques.json") == results
    text = (tmp_path / "techniques.md").read_text()
    page = render_report([results])
    for name in ("median", *TRANSFORMS):
        assert f"| lenet | {name} |" in text
        assert name in page


def test_data_that_do_not_fit_are_refused(make_bundle, some: DataChoice, tmp_path: Path):
    with pytest.raises(UsageError, match="takes 4x6 images"):
        bench_techniques([make_bundle()], some, SETTINGS, records=tmp_path / "r", command="")
    assert not (tmp_path / "r").exists()


def test_each_classifier_has_its_own_rows(lenet_median_bundle: Path, some: DataChoice, tmp_path: Path):
    first = int(some.images.labels[0])
    constant = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))  # one class, whatever it sees
    with torch.no_grad():
        constant[1].weight.zero_()
        constant[1].bias.copy_(5 * torch.eye(10)[first])
    names = [f"class {number}" for number in range(10)]
    export_bundle(constant, tmp_path / "constant", purifier="median", size=(32, 32), class_names=names)
    bundles = [lenet_median_bundle, tmp_path / "constant"]
    settings = TechniqueSettings(images=1, rounds=1)
    rows = bench_techniques(bundles, some, settings, records=tmp_path / "records", command="").rows
    assert [row.classifier for row in rows] == ["lenet"] * 6 + ["Sequential"] * 6
    assert [row.technique for row in rows] == ["median", *TRANSFORMS] * 2
    assert {row.attack_success.count for row in rows[6:]} == {0}
    assert len({row.milliseconds for row in rows}) > 6  # timed classifier by classifier
