"""A bundle's rows of the defense table: transfer and adaptive attacks on the first N images that it gets right."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pixelproof.attack.cuda.device import Device
from pixelproof.attack.evaluation.clean import gets_right
from pixelproof.attack.evaluation.fit import check_fit, check_some
from pixelproof.attack.evaluation.known import own_passes, warn_of_silence
from pixelproof.attack.evaluation.screen import check_screen_or_none, screen_or_none
from pixelproof.attack.evaluation.search import Report, changed_images
from pixelproof.attack.evaluation.searches import Searches
from pixelproof.attack.evaluation.settings import DataChoice, Settings
from pixelproof.attack.evaluation.store import Store
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.attack.search.results import Progress
from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.defense.summary import Measured, examples, row, success_positions
from pixelproof.benchmarks.formats import DefenseResults, DefenseRow, Example, Positions
from pixelproof.errors import UsageError
from pixelproof.runtime import Pipeline


@dataclass(frozen=True)
class BundleResults:
    """What one bundle contributes to the results."""

    row: DefenseRow
    gallery: tuple[Example, ...]
    positions: tuple[Positions, ...]
    provider: str
    """The execution provider that really ran."""


def measure_bundle(
    bundle: Path,
    choice: DataChoice,
    settings: Settings,
    *,
    folder: Path,
    threads: int | None = None,
    report: Report = lambda *_: None,
    device: Device | None = None,
    called: str | None = None,
) -> BundleResults:
    """Attack the bundle's bare classifier, purify what succeeded, and attack the whole.

    Args:
        bundle: with a purifier.
        choice: images of the bundle's size and classes.
        settings: how.
        folder: of the records, and of what the bundle says of clean images; a measurement that was stopped goes on.
        threads: CPU threads a call may use.
        report: told what is under way.
        device: the GPU that `de` runs on, and that screens other methods' candidates; None for the CPU.
        called: what tells the bundle from another of the same classifier and purifier.

    Raises:
        UsageError: a bundle without a purifier, data of another size, or none that the classifier gets right; with
            `settings.own_code` as for `own_passes`.
        ExportError: likewise.
        BundleError: the bundle is missing or damaged.
        DataError: kept outcomes that are damaged.
        BackendError: what is asked for does not run here.
    """
    with (
        Pipeline(bundle, threads=threads) as pipeline,
        Pipeline(bundle, part="classifier", threads=threads) as bare,
        ExitStack() as opened,
    ):
        data = choice.images
        _check_purifies(bundle, pipeline)
        check_fit(bundle, pipeline, data)
        check_screen_or_none(settings.screen, bare, settings.pixels)
        right = gets_right(bare, data, folder)
        kept = gets_right(pipeline, data, folder)
        chosen = np.flatnonzero(right)[: settings.images]
        check_some(bundle, chosen, data)
        searches = Searches(choice, settings, partial(Store, folder), report, device)
        behind_screen = opened.enter_context(screen_or_none(settings.screen, bare))
        windows = settings.screen is None  # a screen does without
        adaptive, passed, whole = None, None, None
        if settings.adaptive:  # before the long work, as a purifier of one's own may be unfit
            whole = purified_pipeline(pipeline, bare, windows=windows, own_code=settings.own_code)
            passed = whole.passes is not None if settings.asks_passes else None
            if passed is False:
                warn_of_silence(pipeline, settings.own_code)
        transferred = searches.transfer(behind_screen(bare_classifier(bare, windows=windows), bare.predict), chosen)
        attacked = changed_images(transferred, data)
        survived = pipeline.predict(attacked).argmax(1) != data.labels[chosen]
        if whole is not None:
            carried = [record for record, wrong in zip(transferred, survived, strict=True) if record.success and wrong]
            victim = behind_screen(whole, pipeline.predict)
            adaptive = searches.adaptive(victim, pipeline.predict, chosen, kept, carried)
        found = chosen, transferred, survived, adaptive, passed
        measured = Measured(settings, pipeline.manifest, data, right, kept, *found, called)
        gallery = examples(measured, pipeline, bare)
        return BundleResults(row(measured), gallery, success_positions(measured), pipeline.provider)


def _check_purifies(bundle: Path, pipeline: Pipeline) -> None:
    if pipeline.manifest["purifier"] is None:
        raise UsageError(
            f"bundle '{bundle}' has no purifier, so there is no defense to measure. "
            "Next: pixelproof export CLASSIFIER --purifier gated -o BUNDLE"
        )


def bench_defense(
    bundles: Sequence[Path],
    choice: DataChoice,
    settings: Settings,
    *,
    folder: Path,
    command: str,
    threads: int | None = None,
    report: Report = lambda *_: None,
    device: Device | None = None,
) -> DefenseResults:
    """Measure each bundle; arguments as for `measure_bundle`, and the command line for the record."""
    made_of: list[tuple[str, str]] = []
    for bundle in bundles:  # what is unfit is told before the long work
        with Pipeline(bundle, threads=threads) as pipeline:
            _check_purifies(bundle, pipeline)
            check_fit(bundle, pipeline, choice.images)
            check_screen_or_none(settings.screen, pipeline, settings.pixels)
            if settings.adaptive and settings.own_code:
                own_passes(pipeline)
            made_of.append((pipeline.manifest["classifier"]["name"], pipeline.manifest["purifier"]["name"]))
    parts = []
    for bundle, called in zip(bundles, _called(bundles, made_of), strict=True):

        def named(stage: str, progress: Progress, bundle: Path = bundle) -> None:
            report(f"{bundle.name}: {stage}", progress)

        common: dict[str, Any] = {"folder": folder, "threads": threads, "device": device}
        parts.append(measure_bundle(bundle, choice, settings, **common, report=named, called=called))
    return DefenseResults(
        created=now(),
        conditions=describe_conditions(
            provider=", ".join(sorted({part.provider for part in parts})),
            threads=threads,
            data=choice.name,
            command=command,
            seed=settings.seed,
        ),
        rows=tuple(part.row for part in parts),
        gallery=tuple(example for part in parts for example in part.gallery),
        positions=_distinct(position for part in parts for position in part.positions),
    )


def _called(bundles: Sequence[Path], made_of: Sequence[tuple[str, str]]) -> list[str | None]:
    """What tells bundles of the same classifier and purifier apart: their folders' names, or paths where those do not;
    None for one that there is no other of."""
    named = [(of, bundle.resolve().name) for bundle, of in zip(bundles, made_of, strict=True)]
    alike, same_name = Counter(made_of), Counter(named)
    called = [
        name if same_name[of, name] == 1 else str(bundle) for bundle, (of, name) in zip(bundles, named, strict=True)
    ]
    return [each if alike[of] > 1 else None for each, of in zip(called, made_of, strict=True)]


def merge_results(results: Sequence[DefenseResults]) -> DefenseResults:
    """Measurements of one command as one, under the last one's date and conditions."""
    return replace(
        results[-1],
        rows=tuple(row for each in results for row in each.rows),
        gallery=tuple(example for each in results for example in each.gallery),
        positions=_distinct(position for each in results for position in each.positions),
    )


def _distinct(positions: Iterable[Positions]) -> tuple[Positions, ...]:
    """Each map once: the transfer attack is the same for all purifiers of a classifier."""
    return tuple(dict.fromkeys(positions))
