"""What each search finds on the some shipped images, in whole numbers: floats may differ by processor."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pins.inside import Levels, attack, kernels_on_cpu, pinned, sample, sweep_ranking, victim_of

BATCH = 256
VICTIMS = {"bare": ("median", "classifier"), "gated": ("gated", "pipeline"), "median": ("median", "pipeline")}
IMAGES = {"bare": [0, 1, 5, 17], "gated": [8, 32, 102], "median": [1, 36, 42]}
"""Of the sample, right when clean; some fall early, some late, some withstand."""
EVOLUTION = {"method": "de", "population": 64, "generations": 12}
SEARCHES: dict[str, dict[str, Any]] = {
    "corners": {"method": "corners", "order": True},
    "corners that pass": {"method": "corners", "order": True, "colors": True},
    "corners of two pixels": {"method": "corners", "order": True, "pixels": 2},
    "corners to a target": {"method": "corners", "order": True, "targets": 0},
    "levels": {"method": "levels", "order": True},
    "de": EVOLUTION,
    "de of two pixels": EVOLUTION | {"pixels": 2, "seed": 1},
    "de to a target": EVOLUTION | {"targets": 0, "seed": 2},
    "strongest": {
        "method": "strongest",
        "order": True,
        "colors": True,
        "seeds": 2,
        "population": 20,
        "generations": 5,
    },
}
LEFT_OUT = {("bare", "corners that pass")}
LEFT_OUT |= {("gated", each) for each in ("corners", "corners that pass", "levels", "corners to a target")}
"""A classifier tells of no colors; the others take long, and all but the last are part of `strongest`."""
CASES = [(name, search) for name in VICTIMS for search in SEARCHES if (name, search) not in LEFT_OUT]


def numbers(found: Any, fields: str = "attacked success pixels colors queries evaluated exhausted") -> list[list[Any]]:
    """The outcomes without floats, a list an image."""
    columns = [getattr(found, field) for field in fields.split()]
    return [[int(value) if value.ndim == 0 else value.tolist() for value in row] for row in zip(*columns, strict=True)]


@pytest.fixture
def victim(bundle: Callable, opened: Callable) -> Callable:
    def make(name: str) -> Any:
        purifier, part = VICTIMS[name]
        return victim_of(opened, bundle("lenet", purifier), part)

    return make


def shown(name: str, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The victim's images that are not of the class to reach, and their labels."""
    chosen = [index for index in IMAGES[name] if sample().labels[index] != options.get("targets")]
    return sample().images[chosen], sample().labels[chosen]


@pytest.mark.parametrize(("name", "search"), CASES)
def test_a_search_finds_this(name, search, victim):
    attacked, options = victim(name), dict(SEARCHES[search])
    if options.pop("order", False):
        options["order"] = attacked.order
    if options.pop("colors", False) and attacked.passes is not None:
        options["colors"] = attacked.passes
    images, labels = shown(name, options)
    pinned(
        "outcomes", f"{name}, {search}", numbers(attack(attacked.predict, images, labels, batch_size=BATCH, **options))
    )


def test_a_sweep_of_queries_finds_this(bundle, opened):
    """The order of networks of one's own, and a method that is made already."""
    predict = opened(bundle("lenet", "median"), part="classifier", threads=1).predict
    images, labels = shown("bare", {})
    method = Levels(order=sweep_ranking(predict), levels=2)
    pinned("outcomes", "swept levels", numbers(attack(predict, images, labels, method=method, batch_size=BATCH)))


@pytest.fixture(scope="module")
def on_kernels(tmp_path_factory: pytest.TempPathFactory) -> Callable:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: it compiles the kernels for the CPU")
    return kernels_on_cpu(tmp_path_factory.mktemp("kernels"))


@pytest.mark.parametrize("search", ["de", "de of two pixels", "de to a target"])
def test_the_kernels_find_what_numpy_finds(search, bundle, opened, on_kernels):
    predict = opened(bundle("lenet", "gated"), threads=1).predict
    options = {name: value for name, value in SEARCHES[search].items() if name != "method"}
    images, labels = shown("gated", options)
    found = on_kernels(predict, images, labels, lanes=len(images), rows=BATCH, **options)
    pinned("outcomes", f"gated, {search}, kernels", numbers(found))
    on_numpy = attack(predict, images, labels, batch_size=BATCH, **SEARCHES[search])
    same = "attacked success pixels colors queries"
    assert numbers(found, same) == numbers(on_numpy, same)
