"""What the pins reach of the project's inside, and how values are pinned.

Modules that move are mended here alone; no other file in this folder imports one.
"""
# ruff: noqa: F401  (imported from here)

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pixelproof.app import app
from pixelproof.attack import Levels, attack, sweep_ranking
from pixelproof.attack.cuda import attack_on_device
from pixelproof.attack.evaluation import DataChoice, Settings, searches
from pixelproof.attack.evaluation.records import Record, Store, gets_right
from pixelproof.attack.evaluation.searches import Searches
from pixelproof.attack.evaluation.victims import Victim, bare_classifier, purified_pipeline
from pixelproof.attack.kernels import sources
from pixelproof.benchmarks.defense import measure_bundle
from pixelproof.benchmarks.results import KINDS, read_results, results_markdown, to_json
from pixelproof.cli import main
from pixelproof.errors import UsageError
from pixelproof.export import bundle_writer, export_bundle, purifiers
from pixelproof.export.classifiers import torch_module
from pixelproof.models.data import ImageSet, sample
from pixelproof.models.data.sample import sample_indices
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256

PINS = Path(__file__).parent
RESULTS = PINS.parent.parent / "benchmarks" / "results"
RECORDS = RESULTS / "records"
TRACERS = ("torch", "onnx", "onnxscript")
"""Another version of one of these may write another graph that computes the same."""


def asked_to() -> str | None:
    """What PIXELPROOF_PIN asks for: "write" to write pins down, "all" to check those that take long too, or None."""
    asked = os.environ.get("PIXELPROOF_PIN")
    assert asked in (None, "write", "all"), f"PIXELPROOF_PIN is '{asked}', expected write or all"
    return asked


def pinned(file: str, key: str, value: Any, *, within: float = 0) -> None:
    """Check that `value` is what the file pins under `key`; with PIXELPROOF_PIN=write, write it down instead.

    `within`: by what share a number may be off.
    """
    path = PINS / f"{file}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    value = json.loads(json.dumps(value))
    same = key in kept and value == (pytest.approx(kept[key], rel=within, abs=0) if within else kept[key])
    if asked_to() == "write":
        if same:
            return
        lines = [f"{json.dumps(name)}: {json.dumps(held)}" for name, held in sorted((kept | {key: value}).items())]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        return
    assert key in kept, f"{path.name} pins no '{key}'; PIXELPROOF_PIN=write writes it"
    assert same, f"'{key}' is {json.dumps(value)}; {path.name} pins {json.dumps(kept[key])}"


def other_versions() -> str:
    """The packages that trace networks, where they are not of the versions whose graphs are pinned; else nothing."""
    found = {name: importlib.metadata.version(name).partition("+")[0] for name in TRACERS}
    try:
        pinned("exports", "versions", found)
    except AssertionError as differs:
        return str(differs)
    return ""


def quick_export() -> Callable[..., Any]:
    """`export_bundle`, each network traced once and the bundle not replayed: other tests see that it computes right."""
    traced: dict[tuple[str, tuple[int, int]], Any] = {}
    trace = torch_module.trace

    def once(module: Any, size: tuple[int, int], *, what: str, **options: Any) -> Any:
        if (what, size) not in traced:
            traced[what, size] = trace(module, size, what=what, **options)
        return traced[what, size]

    def export(*given: Any, **options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for each in (torch_module, purifiers):
                patch.setattr(each, "trace", once)
            patch.setattr(bundle_writer, "verify", lambda *_: {"images": 0})
            return export_bundle(*given, **options)

    return export


def victim_of(opened: Callable[..., Pipeline], bundle: Path, part: str, *, windows: bool = True) -> Victim:
    """What a measurement attacks: the bundle's bare classifier ("classifier") or all of it ("pipeline")."""
    bare = opened(bundle, part="classifier", threads=1)
    if part == "classifier":
        return bare_classifier(bare, windows=windows)
    return purified_pipeline(opened(bundle, threads=1), bare, windows=windows)


@dataclass
class Answered:
    """Records that hold a failure of image 0, so that nothing is searched."""

    records: dict[int, Record]

    def close(self) -> None:
        """Nothing was opened."""


def files_of(victim: Victim, protocol: str, data: str, settings: Settings, device: Any = None) -> list[str]:
    """The names of the record files that a measurement of the victim opens, in order."""
    asked: list[dict[str, Any]] = []

    def note(_: Path, depends_on: dict[str, Any]) -> Answered:
        asked.append(depends_on)
        return Answered({0: Record(0, False, [], [], 1, False, 0.0)})

    images = ImageSet(np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, np.int64), ("a", "b"))
    chosen, kept = np.zeros(1, np.int64), np.ones(1, np.bool_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "Store", note)
        made = Searches(DataChoice(images, data), settings, RECORDS, lambda *_: None, device)
        if protocol == "transfer":
            made.transfer(victim, chosen)
        else:
            made.adaptive(victim, victim.predict, chosen, chosen[~kept[chosen]], [])
    return [Store(RECORDS, depends_on).path.name for depends_on in asked]


@contextmanager
def uncompiled() -> Iterator[None]:
    """PyTorch does not compile: what a screen says is the same, and seconds are saved."""
    import torch

    with torch.compiler.set_stance("force_eager"):
        yield


def kernels_on_cpu(folder: Path) -> Callable[..., Any]:
    """`attack_on_device` on kernels that g++ made in `folder`, of a NumPy classifier of 10 classes."""
    library = folder / "kernels.so"
    done = subprocess.run(sources.host_command(sources.FOLDER / "host.h", library), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    stand_in = _loaded("stand_in_device", PINS.parent / "attack" / "cuda" / "conftest.py")
    device = stand_in.StandIn(ctypes.CDLL(str(library)))

    def search(predict: Any, images: Any, labels: Any, **options: Any) -> Any:
        network = stand_in.StandInNetwork(device, predict, 10, recordable=False)
        return attack_on_device(device, network, images, labels, **options)

    return search


def _loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
