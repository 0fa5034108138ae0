"""Exports each classifier in each precision, compares what the graphs decide, and times them against one another."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.formats import EngineRow, PrecisionResults, PrecisionRow
from pixelproof.benchmarks.latency import Contender, measure_latency
from pixelproof.benchmarks.precision.engines import build_all
from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.export.decisions import Decided, compare_decisions, decide, defense_counts, performance_loss
from pixelproof.export.precision import Precision
from pixelproof.models.data import ImageSet, adversarial_sample, sample
from pixelproof.runtime import Bundle, Pipeline, read_bundle
from pixelproof.runtime.bundle import PIPELINE
from pixelproof.statistics import Share

BATCH = 64
_VARIANTS = {
    "fp32": ("fp32", "cpu", "both"),
    "fp16": ("fp16", "cpu", "both"),
    "int8": ("int8", "cpu", "cpu"),
    "int8 for TensorRT": ("int8", "tensorrt", "tensorrt"),
}
"""Precision, target, and what runs the graph well."""

Progress = Callable[[str, int, int], None]
"""Called with what is under way, how much of it is done, and how much there is."""


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
        progress: told what is under way.

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
    full: Decided,
    attacked: ImageSet | None,
    faster: float | None,
    threads: int | None,
) -> PrecisionRow:
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
