"""From the records of single images to the figures of the table, the gallery and the map of positions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.search import changed_images, write_png
from pixelproof.attack.evaluation.settings import Settings
from pixelproof.attack.evaluation.store import Record
from pixelproof.benchmarks.defense.paper import PAPER, PIXELS
from pixelproof.benchmarks.formats import DefenseRow, Example, Positions, Prediction
from pixelproof.models.data import ImageSet
from pixelproof.statistics import Share

if TYPE_CHECKING:
    from pixelproof.runtime import Pipeline

EXAMPLES = 4  # of each protocol in the gallery


@dataclass(frozen=True)
class Measured:
    """Everything measured on one bundle.

    Attributes:
        settings: how.
        manifest: the bundle's.
        data: all images.
        right: bool `(len(data),)`, the bare classifier gets the clean image right.
        kept: bool `(len(data),)`, the pipeline does.
        chosen: indices of the attacked images.
        transferred: a record for each of them, of the attack on the bare classifier.
        survived: bool `(len(chosen),)`, the pipeline gets the result of that attack wrong.
        adaptive: by image, the record of the attack on the pipeline; None where it was not made.
        passed: whether the attacker was told which colors the purifier lets pass; None likewise, and
            where the method does not ask.
        bundle: what tells this bundle from another of the same classifier and purifier.
    """

    settings: Settings
    manifest: dict[str, Any]
    data: ImageSet
    right: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    chosen: NDArray[np.int64]
    transferred: list[Record]
    survived: NDArray[np.bool_]
    adaptive: dict[int, Record] | None
    passed: bool | None = None
    bundle: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Classifier, and purifier as it is told apart."""
        classifier, purifier = self.manifest["classifier"]["name"], self.manifest["purifier"]["name"]
        return classifier, purifier if self.bundle is None else f"{purifier} ({self.bundle})"


def row(measured: Measured) -> DefenseRow:
    """The bundle's row of the defense table.

    `performance_loss` is of all images of the data that the bare classifier gets right, the attack's figures are of
    the attacked ones.
    """
    classifier, purifier = measured.manifest["classifier"], measured.manifest["purifier"]
    fell = np.array([record.success for record in measured.transferred], np.bool_)
    after = int((fell & measured.survived).sum())
    adaptive = None if measured.adaptive is None else list(measured.adaptive.values())
    queries = _spread(measured.transferred)
    adaptive_queries = _spread(adaptive or [])
    right = int(measured.right.sum())
    return DefenseRow(
        classifier=classifier["name"],
        purifier=purifier["name"],
        method=measured.settings.method,
        pixels=measured.settings.pixels,
        n=len(fell),
        clean_accuracy=Share(right, len(measured.data)),
        attack_success=Share(int(fell.sum()), len(fell)),
        success_after=Share(after, len(fell)),
        defense_rate=Share(int(fell.sum()) - after, int(fell.sum())),
        performance_loss=Share(int((measured.right & ~measured.kept).sum()), right),
        adaptive_success=None if adaptive is None else Share(sum(r.success for r in adaptive), len(adaptive)),
        queries_median=queries[0],
        queries_p90=queries[1],
        seconds_per_image=_mean_seconds(measured.transferred),
        adaptive_queries_median=adaptive_queries[0],
        adaptive_queries_p90=adaptive_queries[1],
        adaptive_seconds_per_image=_mean_seconds(adaptive or []),
        paper=PAPER.get(classifier["name"]) if measured.settings.pixels == PIXELS else None,
        screen=measured.settings.screen,
        passed_colors=measured.passed,
        bundle=measured.bundle,
        classifier_sha256=classifier["weights_sha256"],
        purifier_sha256=purifier["weights_sha256"],
        exhausted=sum(record.exhausted for record in measured.transferred),
        adaptive_exhausted=None if adaptive is None else sum(record.exhausted for record in adaptive),
        population=measured.settings.population if measured.settings.evolves else None,
        generations=measured.settings.generations if measured.settings.evolves else None,
    )


def examples(measured: Measured, pipeline: "Pipeline", bare: "Pipeline") -> tuple[Example, ...]:
    """Some successes of either protocol, purified."""
    found = [("transfer", bare, _first_successes(measured.transferred))]
    if measured.adaptive is not None:
        found.append(("adaptive", pipeline, _first_successes(list(measured.adaptive.values()))))
    return tuple(
        _example(measured, protocol, victim, pipeline, record)
        for protocol, victim, records in found
        for record in records
    )


def _example(measured: Measured, protocol: str, victim: "Pipeline", pipeline: "Pipeline", record: Record) -> Example:
    classifier, purifier = measured.names
    names, data = measured.data.class_names, measured.data
    original, attacked = data.images[record.image], changed_images([record], data)[0]
    seen = pipeline(attacked[None])
    assert seen.purified is not None
    return Example(
        classifier=classifier,
        purifier=purifier,
        protocol=protocol,
        image_index=record.image,
        label=names[data.labels[record.image]],
        original=write_png(original),
        attacked=write_png(attacked),
        purified=write_png(seen.purified[0]),
        pixels=tuple((row, column) for row, column in record.pixels),
        before=_prediction(victim.predict(original[None])[0], names),
        after=_prediction(victim.predict(attacked[None])[0], names),
        after_purified=_prediction(seen.probabilities[0], names),
    )


def success_positions(measured: Measured) -> tuple[Positions, ...]:
    """How often each position held a successful pixel, for either protocol."""
    classifier, purifier = measured.names
    maps = [_positions(measured.transferred, measured.data, classifier, None, "transfer")]
    if measured.adaptive is not None:
        maps.append(_positions(measured.adaptive.values(), measured.data, classifier, purifier, "adaptive"))
    return tuple(maps)


def _positions(
    records: Iterable[Record],
    data: ImageSet,
    classifier: str,
    purifier: str | None,
    protocol: str,
) -> Positions:
    _, height, width, _ = data.images.shape
    changed = ({(row_index, column) for row_index, column in record.pixels} for record in records)  # fewer repeat one
    hits = Counter(place for places in changed for place in places)
    counts = tuple(tuple(hits[row_index, column] for column in range(width)) for row_index in range(height))
    return Positions(classifier, purifier, protocol, (height, width), counts)


def _first_successes(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.success and record.pixels][:EXAMPLES]


def _prediction(probabilities: NDArray[np.float32], names: tuple[str, ...]) -> Prediction:
    best = int(probabilities.argmax())
    return Prediction(names[best], float(probabilities[best]))


def _spread(records: Sequence[Record]) -> tuple[float | None, float | None]:
    queries = [record.queries for record in records]
    return (float(np.median(queries)), float(np.percentile(queries, 90))) if queries else (None, None)


def _mean_seconds(records: Sequence[Record]) -> float | None:
    return float(np.mean([record.seconds for record in records])) if records else None
