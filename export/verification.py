"""The check after every export: the bundle, run in a fresh process, against the networks it was made from."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ExportError, PixelproofError
from pixelproof.export.reference import Reference, source_of, to_levels
from pixelproof.export.replay import BATCHES

PROBABILITY_TOLERANCE = 1e-5
ROUNDINGS = 4
"""Times what float32 moves the network's logits by, that the runtime may move them, which rounds elsewhere."""
MOST_ROUNDING = 1e-3
LEVEL_TOLERANCE = 1
_STEADY = "see that it gives the same answer each time and in any batch, and update torch and onnxruntime"
_SUSPICION_TOLERANCE = LEVEL_TOLERANCE / 255 + 1e-6

Arrays = dict[str, NDArray[Any]]


def verify(bundle: Path, reference: Reference) -> dict[str, Any]:
    """Run `bundle` on the reference's images in a fresh process, and compare what it gives with `reference`.

    Probabilities may differ by `PROBABILITY_TOLERANCE`, and where that is not enough by what `ROUNDINGS` times the
    network's own rounding makes of them, at most by `MOST_ROUNDING`; purified images by `LEVEL_TOLERANCE` of 255, top-1
    not at all.

    Returns:
        The figures for the manifest.

    Raises:
        ExportError: the bundle does not run, or gives something else; with the largest difference.
    """
    images = reference.images
    answers = _replay(bundle, images)
    figures: dict[str, Any] = {
        "images": len(images),
        "source": source_of(reference.interface.size),
        "batches": [*BATCHES, len(images) - sum(BATCHES)],
        "provider": str(answers["provider"]),
        "classifier": _compare("classifier.onnx", answers, "classifier", reference, to_levels(images)),
    }
    if reference.purifier is not None:
        figures["pipeline"] = _compare_pipeline(answers, reference)
    return figures


def _replay(bundle: Path, images: NDArray[np.uint8]) -> Arrays:
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as folder:
        given, results = Path(folder) / "images.npy", Path(folder) / "results.npz"
        np.save(given, images)
        # -P: a file in the current directory must not stand in for a module
        command = [sys.executable, "-P", "-m", "pixelproof.export.replay", str(bundle), str(given), str(results)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            why = PixelproofError(why).reason.replace(str(bundle), "BUNDLE")  # that folder is about to go
            raise ExportError(
                f"the exported bundle does not run: {why}. Next: pixelproof doctor checks the installation"
            )
        with np.load(results, allow_pickle=False) as answers:
            return dict(answers)


def _compare(
    file: str, answers: Arrays, part: str, reference: Reference, levels: NDArray[np.float32]
) -> dict[str, Any]:
    expected = reference.bare if part == "classifier" else reference.classify(levels)
    differences = np.abs(answers[f"{part}.probabilities"] - expected).max(axis=1)
    difference = float(differences.max())
    labels_differ = int((answers[f"{part}.labels"] != expected.argmax(axis=1)).sum())
    if not difference <= PROBABILITY_TOLERANCE:  # so that NaN is no pass
        allowed, remedy = _excused(reference, levels, expected)
        worst = int(np.argmax(np.nan_to_num(differences, nan=np.inf) - allowed))
        if not differences[worst] <= allowed[worst]:
            what = f"probabilities by up to {differences[worst]:.3g} ({allowed[worst]:.3g} is allowed)"
            raise _differs(file, what, remedy)
    if labels_differ:
        raise _differs(
            file,
            f"the most probable class of {labels_differ} of {len(expected)} images (probabilities {difference:.2g})",
        )
    return {"same_top1": len(expected), "probabilities_max_difference": difference}


def _compare_pipeline(answers: Arrays, reference: Reference) -> dict[str, Any]:
    levels, cleaned = to_levels(reference.images), reference.cleaned
    purified = to_levels(answers["pipeline.purified"])
    difference = np.abs(purified - np.floor(cleaned + np.float32(0.5)))
    if not (largest := float(difference.max())) <= LEVEL_TOLERANCE:
        raise _differs("pipeline.onnx", f"'purified' by up to {largest:g} of 255 ({LEVEL_TOLERANCE} is allowed)")
    if np.array_equal(cleaned, np.floor(cleaned)):
        cleaned = purified  # whole values: where a tie was rounded the other way, the classifier has seen that value
    _compare_suspicion(answers, np.abs(cleaned - levels).max(axis=1))
    return {
        **_compare("pipeline.onnx", answers, "pipeline", reference, cleaned),
        "purified_max_difference": int(largest),
        "purified_share_different": float((difference > 0).mean()),
    }


def _compare_suspicion(answers: Arrays, change: NDArray[np.float32]) -> None:
    """`change`: what was done to each pixel, `(n, H, W)`, 0 to 255."""
    largest = change.max(axis=(1, 2))
    suspicion, (rows, columns) = answers["pipeline.suspicion"], answers["pipeline.suspect"].T
    at_suspect = np.where(rows < 0, 0, change[np.arange(len(change)), rows, columns])
    for name, got in (("suspicion", suspicion), ("suspect", at_suspect / 255)):
        difference = float(np.abs(got - largest / 255).max())
        if not difference <= _SUSPICION_TOLERANCE:
            raise _differs("pipeline.onnx", f"'{name}' by up to {difference:.2g} of the change made to the image")


def _excused(
    reference: Reference, levels: NDArray[np.float32], expected: NDArray[np.float64]
) -> tuple[NDArray[np.float64], str]:
    """What the network's own rounding excuses of each image `(n,)`, and what to do where the difference is larger.

    What is drawn at random is no rounding, though it differs in float64 too.
    """
    allowed = np.full(len(expected), PROBABILITY_TOLERANCE)
    if not float(np.abs(reference.classify(levels) - expected).max()) <= PROBABILITY_TOLERANCE:
        return allowed, "let it give the same answer each time: no dropout, nothing drawn at random"
    # logits that move by d at most move a probability p by 2 d p (1 - p) at most, to first order
    steepness = 2 * (expected * (1 - expected)).max(axis=1)
    allowed = np.minimum(allowed + steepness * ROUNDINGS * reference.rounding(levels), MOST_ROUNDING)
    if not float(np.abs(reference.classify(levels[:1]) - expected[:1]).max()) <= allowed[0]:
        return allowed, "let what it says of an image not depend on the others in its batch"
    return allowed, _STEADY


def _differs(file: str, what: str, remedy: str = _STEADY) -> ExportError:
    return ExportError(f"{file} does not compute what the original networks do; they differ in {what}. Next: {remedy}")
