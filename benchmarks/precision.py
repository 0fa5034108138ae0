"""`pixelproof bench precision`: the shipped classifiers in every precision.

Each is exported in each precision, what the graphs decide is compared, and they are timed against one another; engines
are built where asked for, which needs no GPU.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.latency import Contender, Progress, measure_latency
from pixelproof.benchmarks.results import Results, classifiers_of
from pixelproof.benchmarks.tables import NOTHING, Cell, Column, Table, make_table, number, percent
from pixelproof.errors import UsageError
from pixelproof.models.data import ImageSet, adversarial_sample, sample
from pixelproof.runtime import Bundle, Pipeline, read_bundle
from pixelproof.runtime.bundle import PIPELINE
from pixelproof.statistics import Share

if TYPE_CHECKING:
    from pixelproof.export.decisions import Decided

BATCH = 64
_VARIANTS = {
    "fp32": ("fp32", "cpu", "both"),
    "fp16": ("fp16", "cpu", "both"),
    "int8": ("int8", "cpu", "cpu"),
    "int8 for TensorRT": ("int8", "tensorrt", "tensorrt"),
}
"""Precision, target, and what runs the graph well."""
_FLAVOR = "tensorrt-rtx"
_PRECISIONS = {"fp32": "fp32", "fp16": "fp16", "int8 for TensorRT": "int8"}


@dataclass(frozen=True)
class PrecisionRow:
    """One classifier in one precision, beside float32 in the same runtime; shares are 0 to 1."""

    classifier: str
    precision: str
    target: str
    """The runtime that the graph is made for: "cpu", "tensorrt" or "both"."""
    images: int
    agreement: float | None
    """The bare classifier's decisions that are float32's; None for float32."""
    pipeline_agreement: float | None
    accuracy: float
    pipeline_accuracy: float
    d_suc: Share | None
    """Of the shipped adversarial images that fool it; None where there are none of these weights."""
    pl: float | None
    nbytes: int
    """Of the fused graph."""
    times_faster: float | None
    """Throughput by float32's in one interleaved run; None where the graph is not made for this runtime."""


def _counted(share: Share | None) -> Cell | str:
    if share is None or share.value is None:
        return NOTHING
    return Cell(percent(share.value, 2), f"{share.count} of {share.n}")


COLUMNS = (
    Column("classifier", lambda row: row.classifier, is_text=True),
    Column("precision", lambda row: row.precision, is_text=True),
    Column("for", lambda row: row.target, is_text=True),
    Column("decisions as in fp32", lambda row: percent(row.agreement, 2)),
    Column("purified decisions", lambda row: percent(row.pipeline_agreement, 2)),
    Column("accuracy", lambda row: percent(row.accuracy, 2)),
    Column("purified accuracy", lambda row: percent(row.pipeline_accuracy, 2)),
    Column("D_suc", lambda row: _counted(row.d_suc)),
    Column("PL", lambda row: percent(row.pl, 2)),
    Column("MiB", lambda row: number(row.nbytes / 2**20, 2)),
    Column("times faster", lambda row: number(row.times_faster, 2)),
)


@dataclass(frozen=True)
class EngineRow:
    """One engine that was built; none of them was run by this measurement."""

    classifier: str
    precision: str
    flavor: str
    built_for: str
    nbytes: int
    seconds: float
    lower_share: float
    """Of the classifier's convolutions in the named precision, 0 to 1, in int8 of all but the first; 1 for float32."""


@dataclass(frozen=True)
class PrecisionResults(Results):
    """What `pixelproof bench precision` measured."""

    purifier: str
    batch: int
    rounds: int
    """Of the throughput."""
    rows: tuple[PrecisionRow, ...]
    engines: tuple[EngineRow, ...]
    notes: tuple[str, ...]

    def title(self) -> str:
        """What was measured, in a few words."""
        return f"Precisions of {classifiers_of(self.rows)}"

    def tables(self) -> tuple[Table, ...]:
        """A row a classifier and precision; the engines, where any were built, in a table of their own."""
        notes = (
            f"Purified: behind `{self.purifier}`. D_suc of the shipped adversarial images that fool the classifier in "
            f"that precision; PL and accuracy on {self.rows[0].images:,} test images. Times faster: throughput at "
            f"batch {self.batch}, medians of {self.rounds} interleaved rounds.",
            *self.notes,
        )
        decisions = make_table("Precisions", COLUMNS, self.rows, notes)
        return (decisions, _engines(self.engines)) if self.engines else (decisions,)


def _engines(engines: Sequence[EngineRow]) -> Table:
    """A row a classifier and precision, a column a device that the engines were built for."""
    built: dict[tuple[str, str], dict[str, EngineRow]] = {}
    for engine in engines:
        built.setdefault((engine.classifier, engine.precision), {})[engine.built_for] = engine

    def lower(row: tuple[tuple[str, str], dict[str, EngineRow]]) -> str:
        (_, precision), by_device = row
        return NOTHING if precision == "fp32" else percent(min(engine.lower_share for engine in by_device.values()))

    columns = [
        Column("classifier", lambda row: row[0][0], is_text=True),
        Column("precision", lambda row: row[0][1], is_text=True),
        Column("convolutions in it", lower),
        *(_device_column(device) for device in dict.fromkeys(engine.built_for for engine in engines)),
    ]
    notes = (
        "MiB, beside or below it the seconds of the build; a column a compute capability, or portable. Convolutions in "
        "it: of the classifier's; in int8 of all but the first, which stays in float.",
    )
    caption = "Engines built by TensorRT for RTX without a GPU; none was run"
    return make_table(caption, columns, built.items(), notes)


def _device_column(device: str) -> Column:
    def built(row: tuple[object, dict[str, EngineRow]]) -> Cell | str:
        engine = row[1].get(device)
        return NOTHING if engine is None else Cell(number(engine.nbytes / 2**20, 2), f"{engine.seconds:.1f} s")

    return Column(device, built)


def bench_precision(
    classifiers: Sequence[str],
    *,
    purifier: str = "gated",
    test: ImageSet | None = None,
    rounds: int = 30,
    capabilities: Sequence[str] = (),
    threads: int | None = None,
    command: str = "",
    progress: Progress = lambda *_: None,
) -> PrecisionResults:
    """Measure the classifiers in every precision.

    Args:
        classifiers: names of shipped ones.
        purifier: before each.
        test: images that decisions are compared on; the 200 shipped ones where None.
        rounds: of each graph's timing.
        capabilities: what TensorRT for RTX builds engines for, such as "portable" and "8.9"; none: no engines.
        threads: CPU threads a call may use.
        command: for the record.
        progress: called with a stage, how much of it is done, and how much there is.

    Raises:
        UsageError: an unknown classifier or purifier, or none.
        ExportError: a precision costs more than two points of the accuracy on the shipped images.
        PixelproofError: engines are asked for, and TensorRT for RTX is not installed.
    """
    if purifier == "none":
        raise UsageError(
            "without a purifier there is nothing to measure behind one. "
            "Next: pixelproof bench precision --purifier gated"
        )
    rows: list[PrecisionRow] = []
    engines: list[EngineRow] = []
    for done, classifier in enumerate(classifiers):
        with tempfile.TemporaryDirectory(prefix="pixelproof-") as made:
            bundles = _exported(classifier, purifier, Path(made), progress)
            rows += _rows(classifier, bundles, test or sample(), rounds, threads, progress)
            engines += build_all(classifier, Path(made), capabilities, progress)
        progress("classifiers", done + 1, len(classifiers))
    data = "the shipped CIFAR-10 test images" if test is None else f"CIFAR-10, {len(test):,} test images"
    conditions = describe_conditions(
        provider="CPUExecutionProvider", threads=threads, data=data, command=command, seed=None
    )
    notes = () if engines else ("No engines were built.",)
    return PrecisionResults(now(), conditions, purifier, BATCH, rounds, tuple(rows), tuple(engines), notes)


def _exported(classifier: str, purifier: str, folder: Path, progress: Progress) -> dict[str, Bundle]:
    from pixelproof.export import export_bundle

    for done, (name, (precision, target, _)) in enumerate(_VARIANTS.items()):
        progress(f"{classifier}: exports", done, len(_VARIANTS))
        export_bundle(
            classifier,
            folder / name,
            purifier=purifier,
            precision=precision,
            target=target,
            max_accuracy_drop=2.0,  # of the 200 shipped images; what it costs on the test set is what is measured
        )
    return {name: read_bundle(folder / name) for name in _VARIANTS}


def _rows(
    classifier: str,
    bundles: dict[str, Bundle],
    test: ImageSet,
    rounds: int,
    threads: int | None,
    progress: Progress,
) -> list[PrecisionRow]:
    from pixelproof.export.decisions import decide

    progress(f"{classifier}: exports", len(bundles), len(bundles))
    attacked = adversarial_sample(classifier, bundles["fp32"].manifest["classifier"]["weights_sha256"])
    speeds = _times_faster({name: bundles[name] for name in ("fp32", "fp16", "int8")}, rounds, threads)
    progress(f"{classifier}: decisions", 0, len(bundles))
    full = decide(bundles["fp32"].path, test.images, threads=threads)
    rows: list[PrecisionRow] = []
    for name, bundle in bundles.items():
        rows.append(_row(classifier, name, bundle, test, full, attacked, speeds.get(name), threads))
        progress(f"{classifier}: decisions", len(rows), len(bundles))
    return rows


def _row(
    classifier: str,
    name: str,
    bundle: Bundle,
    test: ImageSet,
    full: "Decided",
    attacked: ImageSet | None,
    faster: float | None,
    threads: int | None,
) -> PrecisionRow:
    from pixelproof.export.decisions import compare_decisions, decide, defense_counts, performance_loss
    from pixelproof.export.precision import Precision

    precision, _, target = _VARIANTS[name]
    own = full if precision == "fp32" else decide(bundle.path, test.images, threads=threads)
    figures = compare_decisions(full, own, test.labels, Precision(precision, max_accuracy_drop=100))
    bare, pipeline = figures["classifier"], figures["pipeline"]
    compared = precision != "fp32"  # which agrees with itself
    d_suc = None
    if attacked is not None:
        d_suc = Share(*defense_counts(decide(bundle.path, attacked.images, threads=threads), attacked.labels))
    return PrecisionRow(
        classifier=classifier,
        precision=precision,
        target=target,
        images=len(test),
        agreement=bare["top1_agreement"] if compared else None,
        pipeline_agreement=pipeline["top1_agreement"] if compared else None,
        accuracy=bare["accuracy"],
        pipeline_accuracy=pipeline["accuracy"],
        d_suc=d_suc,
        pl=performance_loss(own, test.labels),
        nbytes=len(bundle.files[PIPELINE]),
        times_faster=faster,
    )


def _times_faster(bundles: dict[str, Bundle], rounds: int, threads: int | None) -> dict[str, float]:
    """The throughput of each by float32's."""
    with ExitStack() as stack:
        contenders = []
        for name, bundle in bundles.items():
            pipeline = stack.enter_context(Pipeline(bundle.path, backend="cpu", threads=threads))
            contenders.append(Contender(name, pipeline.provider, pipeline))
        images = np.resize(sample().images, (BATCH, *sample().images.shape[1:]))
        rows = measure_latency(contenders, images, batches=[BATCH], rounds=rounds, baseline="fp32")
    return {row.name: 1 / row.ratio for row in rows if row.ratio is not None}


def build_all(classifier: str, folder: Path, capabilities: Sequence[str], progress: Progress) -> list[EngineRow]:
    """Build the engines of the bundles in `folder`, one a precision and compute capability."""
    from pixelproof.export.engines import build_engine

    rows: list[EngineRow] = []
    for bundle, precision in _PRECISIONS.items():
        for capability in capabilities:
            progress(f"engines of {classifier}", len(rows), len(_PRECISIONS) * len(capabilities))
            started = time.perf_counter()
            path = build_engine(folder / bundle, flavor=_FLAVOR, capability=capability)
            seconds = time.perf_counter() - started
            sidecar = json.loads(path.with_suffix(".json").read_text())
            share = sidecar["lower_precision_shares"].get(precision, 1.0)
            rows.append(EngineRow(classifier, precision, _FLAVOR, capability, sidecar["nbytes"], seconds, share))
    return rows
