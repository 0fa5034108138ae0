"""Kept records: what decides their files' names, and that measurements of shipped networks go on from them."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pins.inside import (
    RECORDS,
    DataChoice,
    ImageSet,
    Settings,
    Store,
    files_of,
    gets_right,
    graph_sha256,
    measure_bundle,
    pinned,
    sample,
    sample_indices,
    uncompiled,
    victim_of,
)

DATA = "CIFAR-10, 10,000 test images"
TEST_SET = "e54a434e"
"""What the SHA-256 of the test images and their labels begins with."""


class TestSet(ImageSet):
    """CIFAR-10's test set as far as it is shipped, black where it is not; passes for all of it."""

    __test__ = False  # not a class of tests

    def sha256(self) -> str:
        found = {json.loads(path.read_bytes())["data"] for path in RECORDS.glob("clean-*.json")}
        (known,) = [each for each in found if each.startswith(TEST_SET)]
        return known


@pytest.fixture(scope="module")
def choice() -> DataChoice:
    images, labels = np.zeros((10_000, 32, 32, 3), np.uint8), np.zeros(10_000, np.int64)
    images[sample_indices()], labels[sample_indices()] = sample().images, sample().labels
    return DataChoice(TestSet(images, labels, sample().class_names), DATA)


def test_each_committed_file_is_named_by_what_it_depends_on_and_read():
    paths = sorted(RECORDS.glob("*.jsonl"))
    assert paths
    for path in paths:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        assert hashlib.sha256(header.encode()).hexdigest()[:16] == path.stem
        store = Store(RECORDS, json.loads(header))
        assert (store.path, len(store.records)) == (path, len(lines))
        assert header == json.dumps(json.loads(header), sort_keys=True)


def test_each_committed_file_of_clean_images_is_named_by_what_it_depends_on():
    paths = sorted(RECORDS.glob("clean-*.json"))
    assert paths
    for path in paths:
        of = json.loads(path.read_bytes())
        of.pop("wrong")
        assert hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16] == path.stem[6:]
        assert of.keys() - {"behind"} == {"graph", "data", "provider"}


@pytest.mark.parametrize("part", ["classifier", "pipeline"])
def test_what_is_known_of_clean_images_is_read(part, bundle, opened, choice):
    network = opened(bundle("lenet", "gated"), part=part)
    (path,) = [
        each
        for each in RECORDS.glob("clean-*.json")
        if (held := json.loads(each.read_bytes()))["graph"] == graph_sha256(network.graph) and "behind" not in held
    ]
    before = {each.name for each in RECORDS.iterdir()}
    right = gets_right(network, choice.images, RECORDS)
    assert np.flatnonzero(~right).tolist() == json.loads(path.read_bytes())["wrong"]
    assert {each.name for each in RECORDS.iterdir()} == before


RUNS = {
    "median": ("lenet", "median", {}),
    "autoencoder": ("lenet", "autoencoder", {}),
    "gated": ("lenet", "gated", {}),
    "three pixels": ("lenet", "gated", {"pixels": 3}),
    "five pixels": ("lenet", "median", {"pixels": 5}),
    "strongest": ("lenet", "gated", {"method": "strongest"}),
    "strongest, autoencoder": ("lenet", "autoencoder", {"method": "strongest"}),
    "de": ("lenet", "gated", {"method": "de"}),
    "screened": ("resnet", "gated", {"method": "strongest", "screen": "bf16"}),
    "resnet": ("resnet", "gated", {}),
}


@pytest.mark.parametrize("run", RUNS)
def test_a_measurement_finds_all_in_the_committed_records(run, bundle, choice, tmp_path: Path):
    classifier, purifier, options = RUNS[run]
    folder = tmp_path / "records"
    shutil.copytree(RECORDS, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    settings = Settings(images=2, **options)
    with uncompiled():
        found = measure_bundle(bundle(classifier, purifier), choice, settings, records=folder, threads=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    row = found.row
    told = [row.attack_success.count, row.success_after.count, row.adaptive_success.count]
    pinned("records", f"figures, {run}", [*told, row.queries_median, row.adaptive_queries_median])


KEYS = {
    "corners": {},
    "corners to a target": {"target": 3},
    "levels": {"method": "levels", "seed": 5},
    "strongest": {"method": "strongest"},
    "strongest of a small population": {"method": "strongest", "population": 50, "generations": 9, "target": 9},
    "de": {"method": "de"},
    "de of three pixels": {"method": "de", "pixels": 3, "generations": 20},
    "three pixels": {"pixels": 3},
}


@pytest.mark.parametrize("purifier", ["none", "median", "autoencoder", "gated"])
def test_what_a_measurement_asks_for_has_these_names(purifier, bundle, opened):
    path = bundle("lenet", purifier)
    protocol, part = ("transfer", "classifier") if purifier == "none" else ("adaptive", "pipeline")
    victim = victim_of(opened, path, part, windows=False)
    found = {name: files_of(victim, protocol, DATA, Settings(**options)) for name, options in KEYS.items()}
    found["de on a GPU"] = files_of(victim, protocol, DATA, Settings(method="de"), device=object())
    for name in ("strongest", "de", "corners"):
        committed = [file for file in found[name] if (RECORDS / file).exists()]
        assert committed == found[name], name
    pinned("records", f"keys, {purifier}", found)


def test_a_network_that_is_not_shipped_has_records_of_its_own_order(make_bundle, opened):
    """A sweep finds others first than a gradient does, so that the name tells which one ranked."""
    victim = victim_of(opened, make_bundle("other", size=(4, 6), purifier=None), "classifier", windows=False)
    assert victim.swept
    asked = ({}, {"method": "levels"}, {"method": "de"})
    found = [files_of(victim, "transfer", "some", Settings(**options)) for options in asked]
    pinned("records", "keys, swept", found)
