"""What windows are worth on a bundle's classifier: reckoned layer by layer, and timed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx

from pixelproof.attack import Incremental
from pixelproof.attack.evaluation.probes import probes
from pixelproof.attack.evaluation.windows.costs import costs
from pixelproof.attack.evaluation.windows.cut import cut
from pixelproof.attack.evaluation.windows.staged import incremental
from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.formats import CandidateCost, LayerResults, LayerRow
from pixelproof.benchmarks.latency import Contender, measure_latency
from pixelproof.errors import UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

_CANDIDATES, _IMAGES = 256, 8
_DATA = f"{_CANDIDATES} changed pixels of {_IMAGES} shipped test images"

Progress = Callable[[str, int, int], None]
"""Called with what is under way, how much of it is done, and how much there is."""


def bench_layers(
    bundles: Sequence[Path],
    *,
    rounds: int,
    command: str,
    threads: int | None = None,
    progress: Progress = lambda *_: None,
) -> LayerResults:
    """Reckon and time what one changed pixel needs of each bundle's classifier.

    Args:
        bundles: their folders.
        rounds: how often a batch of candidates is timed, with windows and without in turn.
        command: for the record.
        threads: CPU threads a call may use.
        progress: told what is under way.

    Raises:
        UsageError: a classifier that does not begin with layers that see little of an image, or is of another image
            size than the shipped sample's.
    """
    rows: list[LayerRow] = []
    timed: list[CandidateCost] = []
    provider = ""
    for bundle in bundles:
        with Pipeline(bundle, backend="cpu", part="classifier", threads=threads) as classifier:
            provider = classifier.provider
            name = str(classifier.manifest["classifier"]["name"])
            by_windows = _opened(bundle, classifier)
            rows += _rows(name, classifier.graph, depth=0 if by_windows is None else by_windows.depth)
            timed.append(_timed(name, classifier, by_windows, rounds, progress))
    conditions = describe_conditions(provider=provider, threads=threads, data=_DATA, command=command, seed=0)
    return LayerResults(now(), conditions, tuple(rows), tuple(timed))


def _opened(bundle: Path, classifier: Pipeline) -> Incremental | None:
    if classifier.image_size != sample().images.shape[1:3]:
        height, width = classifier.image_size
        raise UsageError(
            f"bundle '{bundle}' takes {height}x{width} images, and layers are timed on the shipped 32x32 ones. "
            "Next: give a bundle of that size"
        )
    return incremental(classifier.graph, classifier.predict, threads=classifier.threads)


def _rows(name: str, model: bytes, *, depth: int) -> list[LayerRow]:
    parts = cut(onnx.load_from_string(model))
    if parts is None:
        raise UsageError(f"classifier '{name}' does not begin as a bundle's does. Next: pixelproof export it again")
    reckoned = costs(parts)
    return [
        LayerRow(
            classifier=name,
            layer=part.name,
            side=max(part.size),
            changed=max(part.changed),
            arithmetic=part.arithmetic,
            needed=part.needed,
            by_windows=number < depth,
        )
        for number, part in enumerate(reckoned)
        if part.arithmetic
    ]


def _timed(
    name: str, classifier: Pipeline, by_windows: Incremental | None, rounds: int, progress: Progress
) -> CandidateCost:
    shown = probes(_CANDIDATES, _IMAGES)
    drawn = shown.drawn
    contenders = [Contender("whole", classifier.provider, classifier.predict)]
    if by_windows is not None:
        contenders.append(Contender("windows", classifier.provider, lambda _: by_windows.of_changes(*shown[:4])))
    timed = measure_latency(
        contenders,
        drawn,
        batches=[len(drawn)],
        rounds=rounds,
        progress=lambda _, done, total: progress(f"timing {name}", done, total),
    )
    a_candidate = {row.name: row.p50_ms / len(drawn) for row in timed}
    return CandidateCost(name, a_candidate["whole"], a_candidate.get("windows"), _CANDIDATES, _IMAGES, rounds)
