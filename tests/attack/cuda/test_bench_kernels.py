"""What `pixelproof bench kernels` measures, on a GPU that is not there: g++'s kernels and a network in NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.attack.search.candidates import Canvas
from pixelproof.attack.search.scheduler import FitnessCache
from pixelproof.benchmarks import kernels
from pixelproof.benchmarks.kernels import KernelResults, Parts, Population, bench_kernels
from pixelproof.benchmarks.report import render_report
from pixelproof.benchmarks.results import read_results, write_results

SMALL = Population(lanes=3, size=8, rows=10)


@pytest.fixture
def parts(device, make_device_network, make_classifier, make_crops) -> Parts:
    network = make_device_network(device, make_classifier(8, 7, seed=5))
    return Parts(device, network, make_crops(7, 8, 7), SMALL, last=4)


def test_every_launch_of_a_generation_is_timed(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelproof.benchmarks.kernels._COPIED", 1 << 12)
    rows = parts.kernels()
    asked = [(row.part, row.launches) for row in rows]
    assert asked == [
        ("propose_candidates", 1),
        ("find_candidates, mark_new, assign_rows", 1),
        ("place_images", 3),
        ("draw_candidates", 3),
        ("judge_rows", 3),
        ("share_fitness", 1),
        ("select_children", 1),
        ("advance_lanes", 1),
    ]
    assert all(row.ms > 0 for row in rows)
    (placed,) = [row for row in rows if row.gigabytes_per_second is not None]
    assert placed.part == "place_images"
    assert placed.gigabytes_per_second == pytest.approx(2 * 3 * 8 * 7 * 10 / (placed.ms / 3) / 1e6)
    milliseconds, batches = parts.generation()
    assert 1 <= batches <= 3
    assert min(milliseconds, parts.network_alone(batches), parts.copy_speed()) > 0


def evolved(predict, images, key, goal):
    """How many candidates a search with the same key and goal evaluates, as attack/memory.py counts them."""
    search, memory, evaluated = (
        DifferentialEvolution(population=SMALL.size, generations=4)._evolve(key, 1, 8, 7),
        FitnessCache(),
        0,
    )
    candidates = next(search)
    while True:
        unseen = memory.unseen(candidates)
        evaluated += len(unseen)
        drawn = Canvas(images, SMALL.size).draw(np.zeros(SMALL.size, int), *candidates)
        fitness = -predict(drawn)[unseen, goal]
        try:
            candidates = search.send(memory.recall(unseen, fitness))
        except StopIteration:
            return evaluated


def test_the_whole_budget_is_that_of_searches_which_never_end(parts: Parts, make_crops):
    images, predict, shown, told = make_crops(7, 8, 7), parts.network.predict, [], []
    parts.network.predict = lambda images: shown.append(len(images)) or predict(images)
    candidates, evaluated, seconds = parts.whole_budget(7, lambda done, total: told.append((done, total)))
    assert candidates == 7 * 8 * 5
    assert seconds > 0
    assert told == [(3, 7), (6, 7), (7, 7)]
    goals = predict(images).argmin(1)
    keys = [(2 * lane + first, 2 * lane + 1 + first) for first in (0, 3, 6) for lane in range(3)]
    alone = [evolved(predict, images[index][None], keys[index], goals[index]) for index in range(7)]
    assert evaluated == sum(alone)
    # at most 24 candidates in 3 batches of 10 a generation, 5 generations; the last image alone fills one batch
    assert evaluated <= sum(shown) <= 10 * (3 * 5 + 3 * 5 + 1 * 5)


def test_lanes_go_on_though_they_have_found_something(parts: Parts, make_crops, monkeypatch: pytest.MonkeyPatch):
    table, won = parts.table, []
    parts._goals = parts.network.predict(make_crops(7, 8, 7)).argmax(axis=1)  # reached from the start
    generation = table.generation

    def watched(*, fresh: bool) -> object:
        new = generation(fresh=fresh)
        won.append(bool(table.won.read().any()))
        return new

    monkeypatch.setattr(table, "generation", watched)
    parts.whole_budget(3, lambda *_: None)
    assert len(won) == 5
    assert any(won[:-1])  # an attack would have stopped


def test_the_results_are_written_and_reported(
    device, make_device_network, lenet_median_bundle: Path, tmp_path: Path, monkeypatch
):
    def predict(images):
        level = images.reshape(len(images), -1).astype(np.int64).sum(1) % 10
        return np.eye(10, dtype=np.float32)[level]

    monkeypatch.setattr("pixelproof.benchmarks.kernels._COPIED", 1 << 12)
    monkeypatch.setattr(
        "pixelproof.attack.evaluation.victims.device_network",
        lambda deployed, purifier, classifier, images: make_device_network(
            device, predict, classes=len(deployed.class_names)
        ),
    )
    results = bench_kernels(lenet_median_bundle, device, images=4, population=SMALL, generations=2)
    assert 0 < (results.evaluated or 0) <= results.candidates
    assert (results.candidates, results.gpu, results.classifier) == (4 * 8 * 3, "stand-in", "lenet")
    write_results(tmp_path / "found", results)
    read = read_results(tmp_path / "found.json")
    assert isinstance(read, KernelResults)
    assert read == results
    assert 0 <= read.kernels_share <= 1
    assert "place_images" in (tmp_path / "found.md").read_text()
    assert "A generation on stand-in: lenet" in render_report([read])
    assert json.loads((tmp_path / "found.json").read_text())["kind"] == "kernels"


def test_defaults_are_the_published_budget():
    assert kernels.POPULATION.size * (kernels.GENERATIONS + 1) * 1000 == 40_400_000
