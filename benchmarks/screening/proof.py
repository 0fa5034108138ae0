"""Proves a screen on full float32 sweeps: no candidate that changes the label may be discarded."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.canvas import Canvas
from pixelproof.attack.colours import box_table, decode
from pixelproof.attack.screened import margins
from pixelproof.benchmarks.conditions import cpu_model, now, usable_cores
from pixelproof.benchmarks.defence.victims import BATCH_SIZE
from pixelproof.benchmarks.screening.cheap import Cheap
from pixelproof.benchmarks.screening.screens import screen_named, screenable
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

SUCCESSES = 2_000


def prove(
    bundle: Path,
    *,
    screen: str = "int8",
    successes: int = SUCCESSES,
    margin: float | None = None,
    within: float = np.inf,
    threads: int | None = None,
) -> dict[str, Any]:
    """Sweep shipped images in float32, without stopping at a success, and see what a screen would have discarded.

    Args:
        bundle: of a shipped classifier.
        screen: one of `SCREENS`.
        successes: candidates that change the label, after which no further image is begun.
        margin: see `Screened`; the screen's own where None.
        within: ask float32 only of candidates that the screen leaves a lead below so many nats: where all would take
            too long, many times the margin is nearly as good.
        threads: CPU threads a call may use.

    Returns:
        How many successes there were and were lost, the largest lead that the screen left the true class at one, the
        share of all candidates discarded, and milliseconds a candidate, in float32 and by the screen.

    Raises:
        UsageError: no bundle of a shipped classifier, or no such screen.
    """
    made = screen_named(screen)
    limit = made.margin if margin is None else margin
    with Pipeline(bundle, backend="cpu", part="classifier", threads=threads) as real:
        name = screenable(real)
        with made.open(name, threads) as cheap:
            swept = _sweep(real, cheap, successes, within)
    fell = swept["real"] <= 0
    return {
        "kind": "screening",
        "created": now(),
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "threads": threads,
        "classifier": name,
        "screen": screen,
        "margin": limit,
        "images": swept["images"],
        "candidates": len(fell),
        "within": None if np.isinf(within) else within,
        "asked_in_float32": int(np.isfinite(swept["real"]).sum()),
        "successes": int(fell.sum()),
        "lost": int((fell & (swept["cheap"] >= limit)).sum()),
        "largest_lead_at_a_success": float(swept["cheap"][fell].max()),
        "discarded": float((swept["cheap"] >= limit).mean()),
        "fp32_ms": swept["fp32_ms"],
        "screen_ms": swept["screen_ms"],
    }


def _sweep(real: Pipeline, cheap: Cheap, successes: int, within: float) -> dict[str, Any]:
    """The leads of the true class at all corners of image after image, by each network, and each one's time.

    The real network's is infinite where it was not asked.
    """
    leads: dict[str, list[NDArray[np.float32]]] = {"real": [], "cheap": []}
    seconds = {"real": 0.0, "cheap": 0.0}
    shown = sample()
    found = images = 0
    cheap.predict(shown.images[:BATCH_SIZE])  # one in bfloat16 is compiled now
    for image, label in zip(shown.images, shown.labels.tolist(), strict=True):
        if found >= successes:
            break
        if int(real.predict(image[None]).argmax()) != label:
            continue
        images += 1
        for batch in _corner_batches(image):
            asked = np.ones(len(batch), np.bool_)
            for name, predict in (("cheap", cheap.predict), ("real", real.predict)):
                lead = np.full(len(batch), np.inf, np.float32)
                if asked.any():
                    started = time.perf_counter()
                    probabilities = predict(batch[asked])
                    seconds[name] += time.perf_counter() - started
                    lead[asked] = margins(probabilities, np.full(len(probabilities), label))
                leads[name].append(lead)
                asked = ~(lead >= within)  # NaN is asked of
            found += int((leads["real"][-1] <= 0).sum())
    joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in leads.items()}
    a_candidate = {name: 1e3 * taken / np.isfinite(joined[name]).sum() for name, taken in seconds.items()}
    return joined | {"images": images, "fp32_ms": a_candidate["real"], "screen_ms": a_candidate["cheap"]}


def _corner_batches(image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Every position of `image` `(H, W, 3)` at every corner of the colour cube."""
    colours = box_table(0, 255, 2, (1, *image.shape))(np.zeros(1, np.int64))[0]
    numbers = np.arange(colours[..., 0].size, dtype=np.int32)[:, None]
    for start in range(0, len(numbers), BATCH_SIZE):
        candidates = decode(colours, numbers[start : start + BATCH_SIZE])
        rows = len(candidates.positions)
        yield Canvas(image[None], rows).draw(np.zeros(rows, np.int64), *candidates)
