"""How much of a network's arithmetic a changed box needs, part by part."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelproof.attack.evaluation.windows.cut import Cut, Part
from pixelproof.attack.evaluation.windows.layers import MOVE
from pixelproof.attack.predictors.windows.receptive_field import follow, start_boxes

START = 3_000_000  # multiply-adds in the time that a part costs a batch beside its arithmetic
_CACHE = 2 << 20  # bytes
_LEAST_ROWS, _MOST_ROWS = 32, 256


@dataclass(frozen=True)
class PartCost:
    """One part's work on one candidate.

    Attributes:
        name: its first convolution, or its first node.
        size: height and width of its outputs.
        window: of the outputs that are computed anew.
        changed: of those that can differ.
        arithmetic: multiply-adds on the whole map.
        incremental: on the window.
        needed: on the changed places alone.
        copied: values that are copied to and fro around it.
    """

    name: str
    size: tuple[int, int]
    window: tuple[int, int]
    changed: tuple[int, int]
    arithmetic: int
    incremental: int
    needed: int
    copied: int


def costs(cut: Cut, size: int = 1) -> list[PartCost]:
    """What a changed box of `size` pixels on a side costs in each part."""
    wiring = [part.wiring for part in cut.parts]
    axes = []
    for axis in (1, 2):
        lengths = {name: shape[axis] for name, shape in cut.shapes.items()}
        first = {cut.image: start_boxes(lengths[cut.image], size)}
        axes.append(follow(first, wiring, lengths)[1])
    found = []
    for part, rows, columns in zip(cut.parts, *axes, strict=True):
        _, height, width = cut.shapes[part.outputs[0]]
        taken = sum(
            cut.shapes[name][0] * rows.inputs[index][1] * columns.inputs[index][1]
            for index, name in enumerate(part.fields)
        )
        given = sum(cut.shapes[name][0] for name in part.outputs) * rows.changed.size * columns.changed.size
        found.append(
            PartCost(
                name=_name(part),
                size=(height, width),
                window=(rows.size, columns.size),
                changed=(rows.changed.size, columns.changed.size),
                arithmetic=part.arithmetic * height * width,
                incremental=part.arithmetic * rows.size * columns.size,
                needed=part.arithmetic * rows.changed.size * columns.changed.size,
                copied=2 * taken + given,
            )
        )
    return found


def best_depth(cut: Cut) -> tuple[int, float]:
    """How many parts to send windows through, and the cost that is left as a share of the whole network's.

    Reckoned, not timed: a search that is resumed has to get the same numbers, to the last bit, on a busy machine too.
    """
    parts = costs(cut)
    least, best = min((share(cut, parts, depth), depth) for depth in range(1, len(parts) + 1))
    return best, least


def share(cut: Cut, parts: Sequence[PartCost], depth: int) -> float:
    """The cost of a candidate with the first `depth` parts by windows, copies counted in, as a share of the whole's."""
    rows = rows_in_cache(cut, parts, depth)
    done = sum(START / rows + part.incremental + MOVE * part.copied for part in parts[:depth])
    whole = sum(part.arithmetic for part in parts)
    left = 2 * MOVE * _live(cut, depth) + sum(part.arithmetic for part in parts[depth:])
    return (done + left) / whole if whole else 1.0


def rows_in_cache(cut: Cut, parts: Sequence[PartCost], depth: int) -> int:
    """Candidates in a batch whose values stay in a processor's second cache, where windows go through `depth` parts."""
    largest = max([_live(cut, depth), *(part.copied for part in parts[:depth])])
    fitting = _CACHE // (4 * largest)
    return int(min(_MOST_ROWS, max(_LEAST_ROWS, 1 << max(fitting, 1).bit_length() - 1)))


def _live(cut: Cut, depth: int) -> int:
    """Values of the maps that what follows the first `depth` parts takes."""
    return sum(channels * height * width for channels, height, width in map(cut.shapes.__getitem__, rest(cut, depth)))


def rest(cut: Cut, depth: int) -> tuple[str, ...]:
    """The maps that what follows the first `depth` parts takes."""
    given = {name for part in cut.parts[:depth] for name in part.outputs} | {cut.image}
    taken = [name for part in cut.parts[depth:] for name in part.fields]
    taken += [name for node in cut.tail for name in node.input]
    return tuple(dict.fromkeys(name for name in taken if name in given))


def _name(part: Part) -> str:
    node = next((node for node in part.nodes if node.op_type == "Conv"), part.nodes[0])
    name = str(node.input[1] if node.op_type == "Conv" else node.name or node.op_type)
    return name.removeprefix("classifier.").removesuffix(".weight")
