"""The report's attacked images: three pictures each, the changed pixels ringed."""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pixelproof.benchmarks.defense import DefenseResults
from pixelproof.benchmarks.gallery import Example, Prediction
from pixelproof.benchmarks.tables import percent

_SMALLEST_RING = 2.6  # image pixels: seen around a pixel of a 32x32 image, and hiding none of it
_RING_SHARE = 0.06


@dataclass(frozen=True)
class Picture:
    """An image with the rings on it, as (x, y) centers, and what was said of it."""

    title: str
    source: str
    """A data URI."""
    description: str
    rings: tuple[tuple[float, float], ...]
    label: str
    probability: str
    right: bool


@dataclass(frozen=True)
class Card:
    """One attacked image."""

    title: str
    size: tuple[int, int]
    radius: float
    """Of the rings, in image pixels."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Group:
    """The examples of one classifier, purifier and protocol."""

    title: str
    protocol: str
    explanation: str
    open: bool
    """Whether the page shows it unasked."""
    cards: tuple[Card, ...]


_EXPLANATIONS = {
    "transfer": "The attacker sees the bare classifier alone. Below the first two images stands what the bare "
    "classifier says; below the third, purified, what the pipeline says.",
    "adaptive": "The attacker sees purifier and classifier as one. Below each image stands what the pipeline says.",
}


def gallery(defenses: Sequence[DefenseResults], shown: Collection[tuple[str, str]]) -> list[Group]:
    """All examples, those that came twice once, by classifier, purifier and protocol; the open ones first.

    `shown` has the classifiers and purifiers whose groups are open.
    """
    examples = list(dict.fromkeys(example for results in defenses for example in results.gallery))
    keys = dict.fromkeys((example.classifier, example.purifier, example.protocol) for example in examples)
    groups = [
        _group(
            [example for example in examples if (example.classifier, example.purifier, example.protocol) == key],
            shown=key[:2] in shown,
        )
        for key in keys
    ]
    return sorted(groups, key=lambda group: not group.open)


def _group(examples: Sequence[Example], *, shown: bool) -> Group:
    first = examples[0]
    title, explanation = f"{first.classifier} behind {first.purifier}", _EXPLANATIONS.get(first.protocol, "")
    return Group(title, first.protocol, explanation, shown, tuple(map(_card, examples)))


def _card(example: Example) -> Card:
    places = ", ".join(f"row {row} column {column}" for row, column in example.pixels)
    rings = tuple((column + 0.5, row + 0.5) for row, column in example.pixels)
    pictures = (
        _picture("original", example.original, f"{example.label}, as it was", (), example.before, example),
        _picture("attacked", example.attacked, f"changed at {places}", rings, example.after, example),
        _picture("purified", example.purified, "the attacked image, purified", rings, example.after_purified, example),
    )
    radius = max(_SMALLEST_RING, _RING_SHARE * max(example.size))
    return Card(f"{example.label}, image {example.image_index}", example.size, radius, pictures)


def _picture(
    title: str,
    png: bytes,
    description: str,
    rings: tuple[tuple[float, float], ...],
    prediction: Prediction,
    example: Example,
) -> Picture:
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    right = prediction.label == example.label
    return Picture(title, source, description, rings, prediction.label, percent(prediction.probability), right)
