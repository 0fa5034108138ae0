"""The comparison on the real LeNet: turns, verification, figures, resumption, results file and report."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from pixelproof.benchmarks.attack_speed import AttackSpeedResults, AttackSpeedSettings, bench_attack
from pixelproof.benchmarks.attack_speed_contenders import corners, de, peak_memory
from pixelproof.benchmarks.attack_speed_peers import Budget, Found
from pixelproof.benchmarks.latency_ways import Absent
from pixelproof.benchmarks.process import memory_is_told
from pixelproof.benchmarks.report.page import render_report
from pixelproof.benchmarks.results import read_results, write_results
from pixelproof.errors import UsageError
from pixelproof.statistics import Share


@dataclass
class StandIn:
    """Another project's attack whose every answer is foretold: `change` makes the image of it, in `queries`."""

    name: str
    change: object
    queries: int = 5
    peer: bool = True
    provider: str = "PyTorch, CPU"
    called: list[tuple[str, int]] = field(default_factory=list)

    def attack(self, image: np.ndarray, label: int) -> Found:
        self.called.append((self.name, label))
        return Found(self.change(image.copy()), self.queries)


def brightened(image: np.ndarray) -> np.ndarray:
    """Deceives, and breaks the rules."""
    return 255 - image


@pytest.fixture
def measure(lenet_median_bundle: Path, some, budget, tmp_path: Path):
    """Run the comparison, with no measurement of memory; always the same folder of records."""

    def run(*makers, images=(4,), **options) -> AttackSpeedResults:
        settings = AttackSpeedSettings(images, options.pop("budget", budget), measure_memory=False)
        usual = {"records": tmp_path / "records", "command": "as typed", "threads": 1}
        return bench_attack([lenet_median_bundle], some, settings, contenders=makers, **usual | options)

    return run


def test_rows_stand_beside_one_another(measure, tmp_path: Path):
    results = measure(corners, de, lambda *_: StandIn("theirs", lambda image: image))
    ours, evolution, theirs = results.rows
    assert [row.attack for row in results.rows] == ["corners", "de", "theirs"]
    assert ours.attack_success == Share(3, 4)
    assert evolution.attack_success.n == 4
    assert (theirs.attack_success, theirs.queries_per_image, theirs.queries_median) == (Share(0, 4), 5, 5)
    assert theirs.times_faster == 1
    for row in results.rows:
        assert (row.classifier, row.n, row.peak_memory_mib) == ("lenet", 4, None)
        assert row.times_faster == pytest.approx(theirs.seconds_per_image / row.seconds_per_image)
        assert row.queries_per_second == pytest.approx(row.queries_per_image / row.seconds_per_image)
    written = [path.read_text().splitlines() for path in (tmp_path / "records").iterdir()]
    found = next(lines for lines in written if json.loads(lines[0])["attack"] == "corners")
    queries = [json.loads(line)["queries"] for line in found[1:]]
    assert queries[0] == 32 * 32 * 8 + 1
    assert ours.queries_per_image == np.mean(queries)
    assert results.conditions.provider == "CPUExecutionProvider"
    assert any("on PyTorch, CPU: 'theirs'" in note for note in results.notes)


def test_only_one_changed_pixel_that_deceives_the_bundle_counts(measure, lenet, some):
    def winner(image: np.ndarray) -> np.ndarray:
        """What corners find."""
        return next(found for before, found in known if np.array_equal(before, image)).copy()

    def doubled(image: np.ndarray) -> np.ndarray:
        """The same, with a second pixel off by one level."""
        changed = winner(image)
        changed[0, 0, 0] ^= 1
        return changed

    contender = corners(lenet, Budget())
    data = some.images
    known = [
        (image, contender.attack(image, int(label)).image)
        for image, label in zip(data.images, data.labels, strict=True)
    ]
    changes = {"winner": winner, "doubled": doubled, "all": brightened, "none": lambda image: image}
    makers = [lambda *_, name=name, change=change: StandIn(name, change) for name, change in changes.items()]
    counts = {row.attack: row.attack_success.count for row in measure(*makers).rows}
    assert counts == {"winner": 3, "doubled": 0, "all": 0, "none": 0}


def test_each_begins_in_turn_on_the_same_images(measure, some):
    called: list[tuple[str, int]] = []
    makers = [lambda *_, name=name: StandIn(name, lambda image: image, called=called) for name in "abc"]
    measure(*makers)
    warm_up, turns = called[:3], called[3:]
    assert [name for name, _ in warm_up] == ["a", "b", "c"]
    assert "".join(name for name, _ in turns) == "abc" + "bca" + "cab" + "abc"
    assert [label for _, label in turns] == np.repeat(some.images.labels, 3).tolist()


def test_it_goes_on_where_it_stopped_but_never_under_other_conditions(measure, budget):
    called: list[tuple[str, int]] = []

    def make(*_):
        return StandIn("theirs", lambda image: image, called=called)

    first = measure(make, images=(3,))
    assert not any("earlier run" in note for note in first.notes)
    called.clear()
    more = measure(make)
    assert len(called) == 1 + 1  # the warm-up and the fourth image
    assert "lenet: 3 of 4 outcomes are of an earlier run, kept in its records." in more.notes
    called.clear()
    assert measure(make).rows == more.rows
    assert called == []
    for options in ({"threads": 2}, {"budget": Budget(budget.generations, budget.population, seed=1)}):
        called.clear()
        measure(make, **options)
        assert len(called) == 1 + 4


def test_what_is_not_there_is_a_note(measure):
    def absent(*_):
        raise Absent("theirs needs x, which is not installed. Next: pip install 'pixelproof[peers]'")

    results = measure(lambda *_: StandIn("ours", lambda image: image, peer=False), absent, images=(1,))
    (row,) = results.rows
    assert row.times_faster is None
    assert results.notes[0].startswith("Not run: theirs needs x")
    assert results.notes[0].endswith("Next: pip install 'pixelproof[peers]'")


def test_a_population_that_art_does_not_follow_is_noted(measure):
    makers = [lambda *_: StandIn("ART PixelAttack", lambda image: image)]
    assert any("ART sets its own population, 400" in note for note in measure(*makers).notes)
    usual = measure(*makers, budget=Budget(generations=1))
    assert not any("its own population" in note for note in usual.notes)


def test_results_survive_their_file_and_stand_in_the_report(measure, tmp_path: Path):
    results = measure(lambda *_: StandIn("theirs", lambda image: image), images=(2,))
    write_results(tmp_path / "speed.json", results)
    assert read_results(tmp_path / "speed.json") == results
    assert json.loads((tmp_path / "speed.json").read_text())["kind"] == "attack-speed"
    text, page = (tmp_path / "speed.md").read_text(), render_report([results])
    assert "2 generations of 50" in text
    assert "| lenet | theirs | 0.0 % (0.0–65.8) |" in text
    for words in ("Speed of attacks on lenet", "<h2>Attack speed</h2>", "theirs", "rounded to uint8"):
        assert words in page


@pytest.mark.skipif(not memory_is_told(), reason="this system does not tell a process's largest memory")
def test_peak_memory_is_of_a_process_of_its_own(lenet, some, budget):
    assert 30 < peak_memory(de, lenet, budget, some.images.images[1], 8) < 4096


def test_each_bundle_has_its_number_of_images(lenet_median_bundle: Path, some, tmp_path: Path):
    settings = AttackSpeedSettings((1, 3), measure_memory=False)
    makers = [lambda *_: StandIn("theirs", lambda image: image)]
    options = {"records": tmp_path, "command": "", "contenders": makers}
    results = bench_attack([lenet_median_bundle, lenet_median_bundle], some, settings, **options)
    assert [row.n for row in results.rows] == [1, 3]


@pytest.mark.parametrize("images", [(), (0,), (1, 2)])
def test_numbers_of_images_that_do_not_fit_are_refused(images, measure, tmp_path: Path):
    with pytest.raises(UsageError, match="one for each of 1 bundles"):
        measure(corners, images=images)
    assert not (tmp_path / "records").exists()


def test_data_that_do_not_fit_are_refused(lenet_median_bundle: Path, some, tmp_path: Path):
    small = type(some)(type(some.images)(some.images.images[:, :16], some.images.labels, some.images.class_names), "x")
    with pytest.raises(UsageError, match="takes 32x32 images"):
        bench_attack([lenet_median_bundle], small, AttackSpeedSettings(), records=tmp_path / "r", command="")
    assert not (tmp_path / "r").exists()
