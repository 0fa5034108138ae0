"""`pixelproof bench cascade`: full float32 sweeps beside a cheaper network, whose successes it must not discard."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.cascades import CASCADES, check_cascade
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, purified_pipeline
from pixelproof.attack.predictors.cascade import margins
from pixelproof.attack.search.candidates import Canvas, box_table, decode
from pixelproof.benchmarks.endurance import heading
from pixelproof.codec import encode
from pixelproof.deprecation import keyword_renamed, moved
from pixelproof.errors import UsageError, unknown_name
from pixelproof.models.data import ImageSet, sample
from pixelproof.runtime import Pipeline
from pixelproof.statistics import Share

SUCCESSES = 2_000
PROTOCOLS = ("transfer", "adaptive")


@keyword_renamed("screen", "cascade")
def validate_cascade(
    bundle: Path,
    *,
    cascade: str = "int8",
    protocol: str = "transfer",
    successes: int = SUCCESSES,
    margin: float | None = None,
    within: float = np.inf,
    data: ImageSet | None = None,
    threads: int | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Sweep images in float32, without stopping at a success, and see what a cascade would have discarded.

    Args:
        bundle: of a shipped classifier, in float32.
        cascade: one of `CASCADES`.
        protocol: "transfer" for the bare classifier, "adaptive" for the whole pipeline.
        successes: candidates that change the label, after which no further image is begun.
        margin: see `Prefiltered`; the cascade's own where None.
        within: ask float32 only of candidates that the cheaper network leaves a lead below so many nats, above the
            margin: where all would take too long, many times the margin is nearly as good.
        data: the images, in their order; the shipped ones where None.
        threads: CPU threads a call may use.
        command: for the record.

    Returns:
        How many successes there were, the share lost with its 95 % interval, the largest lead that it left the
        true class at one, the share of all candidates discarded, and milliseconds a candidate, by it and in
        float32 (None with `within`: few at a time take longer).

    Raises:
        UsageError: no bundle of a shipped classifier or, to be adaptive to, without a purifier; no such cascade or
            protocol; nothing to sweep; or a margin or `within` that proves nothing.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS, "choose one with --protocol NAME")
    with Pipeline(bundle, backend="cpu", part="classifier", threads=threads) as bare, ExitStack() as opened:
        check_cascade(cascade, bare)
        if protocol == "adaptive" and bare.manifest["purifier"] is None:
            raise UsageError(f"bundle '{bundle}' has no purifier to adapt to. Next: --protocol transfer")
        limit = CASCADES[cascade].margin if margin is None else margin
        if not 0 < limit < within:
            raise UsageError(
                f"margin {limit} and within {within} tell nothing: what float32 is not asked of cannot be lost. "
                "Next: a margin above 0, and --within above it"
            )
        cheap = opened.enter_context(CASCADES[cascade].open(bare)).predict
        victim = bare
        if protocol == "adaptive":
            victim = opened.enter_context(Pipeline(bundle, backend="cpu", threads=threads))
            cheap = purified_pipeline(victim, bare, windows=False).around(cheap)
        swept = _sweep(victim.predict, cheap, sample() if data is None else data, successes, within)
        graph = victim.graph
    if not swept.images:
        raise UsageError(f"bundle '{bundle}' gets none of the images right. Next: give others, or --successes above 0")
    succeeded = swept.real <= 0
    successes, lost = int(succeeded.sum()), int((succeeded & (swept.cheap >= limit)).sum())
    shown = "CIFAR-10, 200 test images (the shipped sample)" if data is None else f"{len(data):,} images"
    return {
        **heading(
            "screening",
            bare.manifest["classifier"]["name"],
            graph,
            provider=bare.provider,
            data=shown,
            threads=threads,
            command=command,
        ),
        "protocol": protocol,
        "purifier": None if protocol == "transfer" else bare.manifest["purifier"]["name"],
        "screen": cascade,
        "margin": limit,
        "within": None if np.isinf(within) else within,
        "images": swept.images,
        "candidates": len(succeeded),
        "asked_in_float32": int(np.isfinite(swept.real).sum()),
        "successes": successes,
        "lost": encode(Share(lost, successes)),
        "largest_lead_at_a_success": float(swept.cheap[succeeded].max()) if succeeded.any() else None,
        "discarded": float((swept.cheap >= limit).mean()),
        "fp32_ms": 1e3 * swept.real_s / len(succeeded) if np.isinf(within) else None,
        "screen_ms": 1e3 * swept.cheap_s / len(succeeded),
    }


@dataclass(frozen=True)
class _Swept:
    """The leads of the true class at all corners of image after image, by each network, and each one's seconds.

    The real network's lead is infinite where it was not asked.
    """

    real: NDArray[np.float32]
    cheap: NDArray[np.float32]
    real_s: float
    cheap_s: float
    images: int


def _sweep(real: Predict, cheap: Predict, shown: ImageSet, successes: int, within: float) -> _Swept:
    leads: dict[str, list[NDArray[np.float32]]] = {"real": [], "cheap": []}
    seconds = {"real": 0.0, "cheap": 0.0}
    found = images = 0
    for image, label in zip(shown.images, shown.labels.tolist(), strict=True):
        if found >= successes:
            break
        if int(real(image[None]).argmax()) != label:
            continue
        images += 1
        for batch in _corner_batches(image):
            asked = np.ones(len(batch), np.bool_)
            for name, predict in (("cheap", cheap), ("real", real)):
                lead = np.full(len(batch), np.inf, np.float32)
                if asked.any():
                    started = time.perf_counter()
                    probabilities = predict(batch[asked])
                    seconds[name] += time.perf_counter() - started
                    lead[asked] = margins(probabilities, np.full(len(probabilities), label))
                leads[name].append(lead)
                asked = ~(lead >= within)  # NaN is asked of
            found += int((leads["real"][-1] <= 0).sum())
    joined = {name: np.concatenate(parts or [np.empty(0, np.float32)]) for name, parts in leads.items()}
    return _Swept(**joined, real_s=seconds["real"], cheap_s=seconds["cheap"], images=images)


def _corner_batches(image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Every position of `image` `(H, W, 3)` at every corner of the color cube."""
    colors = box_table(0, 255, 2, (1, *image.shape))(np.zeros(1, np.int64))[0]
    numbers = np.arange(colors[..., 0].size, dtype=np.int32)[:, None]
    for start in range(0, len(numbers), BATCH_SIZE):
        candidates = decode(colors, numbers[start : start + BATCH_SIZE])
        rows = len(candidates.positions)
        yield Canvas(image[None], rows).draw(np.zeros(rows, np.int64), *candidates)


__getattr__ = moved(__name__, {"validate_screen": f"{__name__}:validate_cascade"})
