"""Some attacked images in full, and where in the image attacks succeeded: what the report draws of a measurement."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.evaluate import Measured
from pixelproof.attack.evaluation.records import Record
from pixelproof.attack.evaluation.searches import changed_images, write_png
from pixelproof.models.data import ImageSet

if TYPE_CHECKING:
    from pixelproof.runtime import Pipeline

EXAMPLES = 4  # of each protocol in the gallery
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Prediction:
    """The most probable class and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Example:
    """One attacked image, as three PNG files of one size; `pixels` are the changed (row, column)s.

    `before` and `after` are what the attacked network says of the original and of the attacked image,
    `after_purified` what the pipeline says of the attacked one.
    """

    classifier: str
    purifier: str
    protocol: str
    image_index: int
    label: str
    original: bytes
    attacked: bytes
    purified: bytes
    pixels: tuple[tuple[int, int], ...]
    before: Prediction
    after: Prediction
    after_purified: Prediction

    def __post_init__(self) -> None:
        files = (self.original, self.attacked, self.purified)
        if not all(file.startswith(_PNG) and len(file) > 24 for file in files):
            raise ValueError("original, attacked and purified must be PNG files")
        if len({file[16:24] for file in files}) > 1:
            raise ValueError("original, attacked and purified must be of one size")
        height, width = self.size
        if not all(0 <= row < height and 0 <= column < width for row, column in self.pixels):
            raise ValueError(f"pixels must lie inside the {height}x{width} image, got {self.pixels}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return int.from_bytes(self.original[20:24]), int.from_bytes(self.original[16:20])


@dataclass(frozen=True)
class Positions:
    """How many attacks succeeded at each pixel: `counts` has `size` = (H, W) entries; no purifier where None."""

    classifier: str
    purifier: str | None
    protocol: str
    size: tuple[int, int]
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        height, width = self.size
        if len(self.counts) != height or any(len(row) != width for row in self.counts):
            raise ValueError(f"counts must have {height} rows of {width}")
        if any(count < 0 for row in self.counts for count in row):
            raise ValueError("counts must be 0 or more")


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
