"""A bundle's rows: foretold ones of the stand-in, and LeNet's on real images, counted again from the bundle itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import DataChoice, Settings
from pixelproof.attack.evaluation.searches import Searches, read_png, search
from pixelproof.benchmarks.defense import DefenseResults, bench_defense, defense_table, merge_results
from pixelproof.benchmarks.results import read_results, write_results
from pixelproof.errors import BundleError, UsageError
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline
from pixelproof.statistics import Share, wilson_interval


def test_the_stand_ins_figures_are_the_foretold_ones(measure):
    row = measure().row
    assert row.n == 4  # what the classifier gets wrong is not attacked
    assert row.clean_accuracy == Share(4, 5)
    assert row.attack_success == Share(2, 4)
    assert row.success_after == Share(1, 4)
    assert row.defense_rate == Share(1, 2)
    assert row.performance_loss == Share(1, 4)
    assert row.adaptive_success == Share(2, 4)  # what falls, and what the purifier alone loses


def test_what_the_purifier_loses_costs_no_query(measure):
    measured = measure()
    lost = Share(1, 4)
    assert measured.row.performance_loss == lost
    assert measured.row.adaptive_queries_p90 <= 4 * 6 * 8
    assert sum(map(sum, measured.positions[1].counts)) == 1  # it has no changed pixel to count, or to show
    assert [example.image_index for example in measured.gallery if example.protocol == "adaptive"] == [1]


def test_the_first_images_that_are_right_are_attacked(measure):
    row = measure(images=2).row
    assert (row.n, row.attack_success) == (2, Share(1, 2))
    assert row.performance_loss == Share(1, 4)  # of all images nevertheless


def test_a_second_run_and_fewer_images_ask_the_network_nothing(measure, asked: list[int]):
    first = measure()
    assert asked
    asked.clear()
    assert measure() == first
    assert measure(images=2).row.n == 2
    assert asked == []


def test_more_images_go_on_from_fewer(measure, asked: list[int]):
    at_once = measure(seed=1)
    whole = len(asked)
    asked.clear()
    measure(images=3)
    few = len(asked)
    more = measure()
    assert few < len(asked) < whole + few
    assert more.row.attack_success == at_once.row.attack_success
    assert more.positions == at_once.positions


def test_other_settings_use_no_record_of_these(measure, asked: list[int]):
    measure()
    for settings in ({"seed": 1}, {"pixels": 2}, {"method": "levels"}):
        asked.clear()
        measure(**settings)
        assert asked, settings


def test_transfer_alone_attacks_the_bare_classifier_alone(measure):
    measured = measure(adaptive=False)
    assert measured.row.attack_success == Share(2, 4)
    assert measured.row.adaptive_success is None
    assert [positions.protocol for positions in measured.positions] == ["transfer"]
    assert {example.protocol for example in measured.gallery} == {"transfer"}


UNFIT = {
    "no purifier": ({"purifier": None}, lambda data: data, "has no purifier"),
    "another size": ({"size": (6, 4), "purifier": "cap"}, lambda data: data, "takes 6x4 images .* the data are 4x6"),
    "other classes": (
        {"purifier": "cap"},
        lambda data: ImageSet(data.images, data.labels, ("a", "b")),
        "of 3 classes; the data are 4x6 of 2",
    ),
    "the same classes in another order": (
        {"purifier": "cap"},
        lambda data: ImageSet(data.images, data.labels, data.class_names[::-1]),
        "in this order: red, green, blue; the data have blue, green, red",
    ),
    "classes of which some are the same": (
        {"purifier": "cap"},
        lambda data: ImageSet(data.images, data.labels, ("red", "green", "teal")),
        "in this order: red, green, blue; the data have red, green, teal",
    ),
    "nothing right": (
        {"purifier": "cap"},
        lambda data: ImageSet(data.images, np.full(5, 2), data.class_names),
        "gets right none of the 5 images, so there is nothing to attack",
    ),
}


@pytest.mark.parametrize(("fields", "change", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_what_cannot_be_measured_is_named(fields, change, message, make_bundle, choice: DataChoice, tmp_path: Path):
    unfit = DataChoice(change(choice.images), "unfit")
    with pytest.raises(UsageError, match=message + r".*Next: "):
        bench_defense([make_bundle(**fields)], unfit, Settings(), records=tmp_path / "records", command="")
    assert list(tmp_path.glob("records/*.jsonl")) == []  # but what it says of clean images


def test_a_table_is_of_attacks_without_a_target(stand_in, choice: DataChoice, tmp_path: Path):
    with pytest.raises(UsageError, match=r"any wrong class, got target=1\. Next: leave it out, or pixelproof attack"):
        bench_defense([stand_in], choice, Settings(target=1), records=tmp_path / "records", command="")
    assert not (tmp_path / "records").exists()


def test_the_folder_of_records_by_its_earlier_name(stand_in, choice: DataChoice, tmp_path: Path):
    with pytest.warns(DeprecationWarning, match=r"bench_defense\(folder=\) is bench_defense\(records=\) now"):
        results = bench_defense([stand_in], choice, Settings(images=1), folder=tmp_path / "r", command="")
    assert results.rows[0].n == 1
    assert list(tmp_path.glob("r/*.jsonl"))


@pytest.mark.parametrize("bad", ["missing", "bare"])
def test_every_bundle_is_looked_at_before_the_first_is_attacked(
    bad: str, make_bundle: Callable[..., Path], choice: DataChoice, tmp_path: Path, asked: list[int]
):
    bundles = [make_bundle("good", purifier="cap"), tmp_path / bad]
    make_bundle("bare", purifier=None)
    with pytest.raises((BundleError, UsageError), match=bad):
        bench_defense(bundles, choice, Settings(), records=tmp_path / "records", command="")
    assert asked == []
    assert not (tmp_path / "records").exists()


def test_two_bundles_of_one_classifier_and_purifier_are_told_apart(
    make_bundle: Callable[..., Path], choice: DataChoice, tmp_path: Path
):
    bundles = [make_bundle("one", purifier="cap"), make_bundle("two", purifier="cap"), make_bundle("3", purifier="lid")]
    results = bench_defense(bundles, choice, Settings(images=1), records=tmp_path / "r", command="")
    assert [(row.purifier, row.bundle) for row in results.rows] == [("cap", "one"), ("cap", "two"), ("lid", None)]
    assert [line.cells[1].text for line in defense_table(results.rows).rows] == ["cap (one)", "cap (two)", "lid"]
    (tmp_path / "other").mkdir()
    bundles[1].rename(tmp_path / "other" / "one")
    bundles[1] = tmp_path / "other" / "one"
    again = bench_defense(bundles, choice, Settings(images=1), records=tmp_path / "r", command="")
    assert [row.bundle for row in again.rows] == [*map(str, bundles[:2]), None]
    assert {each.purifier for each in results.gallery} <= {"cap (one)", "cap (two)", "lid"}


def test_two_bundles_of_one_classifier_share_the_transfer_attack(
    make_bundle: Callable[..., Path], choice: DataChoice, tmp_path: Path
):
    bundles = [make_bundle("one", purifier="cap"), make_bundle("two", purifier="lid")]
    seen: list[str] = []
    results = bench_defense(
        bundles, choice, Settings(), records=tmp_path / "r", command="", report=lambda stage, _: seen.append(stage)
    )
    assert [row.purifier for row in results.rows] == ["cap", "lid"]
    assert results.rows[0].attack_success == results.rows[1].attack_success
    assert list(dict.fromkeys(seen)) == ["one: transfer", "one: adaptive"]  # the graphs of both are the same
    assert [(each.protocol, each.purifier) for each in results.positions] == [
        ("transfer", None),
        ("adaptive", "cap"),
        ("adaptive", "lid"),
    ]


def test_merged_results_hold_all_rows_and_each_map_once(stand_in: Path, choice: DataChoice, tmp_path: Path):
    each = [
        bench_defense([stand_in], choice, Settings(images=n), records=tmp_path / "r", command=str(n)) for n in (2, 4)
    ]
    merged = merge_results(each)
    assert [row.n for row in merged.rows] == [2, 4]
    assert merged.conditions.command == "4"
    assert merged.gallery == each[0].gallery + each[1].gallery
    assert len(merged.positions) == len(set(merged.positions)) < sum(len(one.positions) for one in each)


@pytest.fixture(scope="module")
def real(lenet_median_bundle: Path, some_real: DataChoice, tmp_path_factory: pytest.TempPathFactory) -> DefenseResults:
    folder = tmp_path_factory.mktemp("records")
    return bench_defense([lenet_median_bundle], some_real, Settings(), records=folder, command="a command", threads=1)


def test_lenets_figures_are_those_that_its_bundle_gives(real: DefenseResults, lenet_median_bundle: Path, some_real):
    (row,), data = real.rows, some_real.images
    assert (row.classifier, row.purifier, row.method, row.n) == ("lenet", "median", "corners", 5)
    assert row.clean_accuracy == Share(5, 5)
    shown = {protocol: [e for e in real.gallery if e.protocol == protocol] for protocol in ("transfer", "adaptive")}
    assert row.attack_success == Share(len(shown["transfer"]), 5) == Share(4, 5)
    with Pipeline(lenet_median_bundle) as pipeline, Pipeline(lenet_median_bundle, part="classifier") as bare:
        kept = pipeline.predict(data.images).argmax(1) == data.labels
        assert row.performance_loss == Share(int((~kept).sum()), 5)
        fallen_after = 0
        for protocol, victim in (("transfer", bare), ("adaptive", pipeline)):
            for example in shown[protocol]:
                attacked, label = read_png(example.attacked), data.labels[example.image_index]
                changed = (attacked != data.images[example.image_index]).any(-1)
                assert [tuple(place) for place in np.argwhere(changed).tolist()] == list(example.pixels)
                assert changed.sum() == 1
                assert victim.predict(attacked[None]).argmax() != label
                purified = pipeline(attacked[None])
                np.testing.assert_array_equal(read_png(example.purified), purified.purified[0])
                assert example.after_purified.label == data.class_names[purified.labels[0]]
                fallen_after += protocol == "transfer" and purified.labels[0] != label
    assert row.success_after == Share(fallen_after, 5)
    assert row.defense_rate == Share(4 - fallen_after, 4)
    assert row.adaptive_success == Share(len(shown["adaptive"]) + int((~kept).sum()), 5)
    assert 0 < row.adaptive_success.count < 5


def test_a_row_says_which_weights_it_is_of_and_what_withstood_every_candidate(
    real: DefenseResults, lenet_median_bundle: Path
):
    row, made_of = real.rows[0], json.loads((lenet_median_bundle / "bundle.json").read_text())
    assert row.classifier_sha256 == made_of["classifier"]["weights_sha256"]
    assert row.purifier_sha256 is None  # it has none
    assert row.exhausted == row.n - row.attack_success.count
    assert row.adaptive_exhausted == row.n - row.adaptive_success.count > 0


def test_an_image_that_withstands_both_adaptive_searches_has_seen_all_candidates_of_both(real: DefenseResults):
    assert real.rows[0].adaptive_queries_p90 > 8192  # 1,024 positions x 8 colors let pass come first


def test_the_conditions_say_what_really_ran(real: DefenseResults):
    conditions = real.conditions
    assert conditions.provider == "CPUExecutionProvider"
    assert (conditions.command, conditions.data) == ("a command", "five shipped test images")
    assert (conditions.threads, conditions.seed) == (1, 0)
    assert {"python", "onnxruntime", "pixelproof", "torch"} <= conditions.versions.keys()


def test_written_results_are_read_back_with_intervals_and_a_table_for_people(real: DefenseResults, tmp_path: Path):
    write_results(tmp_path / "results.json", real)
    read = read_results(tmp_path / "results.json")
    assert read == real
    assert isinstance(read, DefenseResults)
    share = read.rows[0].attack_success
    assert (share.low, share.high) == wilson_interval(4, 5)
    text = (tmp_path / "results.md").read_text()
    assert "D_suc" in text
    assert "| lenet | median | corners | 100.0 % (56.6–100.0) | 80.0 % (37.6–96.4) |" in text
    assert "- execution provider: CPUExecutionProvider" in text
    assert "the paper's" in text


def test_what_fools_the_bare_classifier_and_the_whole_counts_as_adaptive_whatever_the_search_missed(
    measure, monkeypatch: pytest.MonkeyPatch
):
    inner = Searches.union

    def blind(searches, plans, *rest):
        found = inner(searches, plans, *rest)
        if plans[0].name.startswith("adaptive"):
            return {image: replace(each, success=False, pixels=[], colors=[]) for image, each in found.items()}
        return found

    whole = measure()
    monkeypatch.setattr(Searches, "union", blind)
    missed = measure()
    assert missed.row.success_after == whole.row.success_after == Share(1, 4)
    assert missed.row.adaptive_success == whole.row.adaptive_success == Share(2, 4)
    fallen = [example.image_index for example in missed.gallery if example.protocol == "adaptive"]
    assert fallen == [1]


def test_the_strongest_attack_is_the_union_of_all_and_uses_their_records(measure, monkeypatch, asked: list[int]):
    seen: list[str] = []
    monkeypatch.setattr(
        "pixelproof.attack.evaluation.searches.search",
        lambda plan, *rest: seen.append(plan.name) or search(plan, *rest),
    )
    corners = measure(images=2)
    asked.clear()
    strongest = measure(images=2, method="strongest")
    de = [f"de, seed {seed}" for seed in range(3)]
    assert seen[2:] == [f"{each}, {name}" for each in ("transfer", "adaptive") for name in ("corners", "levels", *de)]
    assert strongest.row.method == "strongest"
    assert strongest.row.attack_success == corners.row.attack_success == Share(1, 2)  # nothing fells the second
    # what the corners fell is asked no more, and the second image all the rest: 64 colors a position, and de thrice
    assert strongest.row.queries_p90 > 4 * 6 * (8 + 64) + 3 * 40_000 * 0.9
    seen.clear()
    asked.clear()
    assert measure(images=2, method="strongest") == strongest
    assert asked == []


def test_colors_let_pass_are_tried_first_and_by_the_corners_alone():
    def plans(method: str) -> list[tuple[str, bool]]:
        searches = Searches(None, Settings(method=method), None, None)  # type: ignore[arg-type]
        return [(plan.method, plan.passed_colors) for plan in searches.tasks("adaptive", passed=True)]

    assert plans("corners") == [("corners", True), ("corners", False)]
    assert plans("levels") == [("levels", False)]
    de = [("de", False)] * 3
    assert plans("strongest") == [("corners", True), ("corners", False), ("levels", False), *de]
