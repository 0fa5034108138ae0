"""Cuts a classifier's ONNX graph into stages, each of which a window of the image can be sent through alone."""

from dataclasses import dataclass, field

import onnx
from onnx import helper, shape_inference

from pixelproof.attack.evaluation.windows.layers import Shape, arithmetic, attributes, constants_of, field_of
from pixelproof.attack.predictors.windows.receptive_field import ReceptiveField, Wiring, fits_padded


@dataclass
class Part:
    """Consecutive nodes, of which the first alone may look beyond its own place.

    Attributes:
        nodes: in order.
        bare: the same nodes with no padding of their own; empty where they add it themselves.
        fields: what an output sees of each input map, by the input's name.
        outputs: maps that later nodes take.
        arithmetic: multiply-adds an output place.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    bare: list[onnx.NodeProto] = field(default_factory=list)
    fields: dict[str, ReceptiveField] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    arithmetic: int = 0

    @property
    def wiring(self) -> Wiring:
        """How it hangs together with the others."""
        return Wiring(tuple(self.fields), self.outputs, tuple(self.fields.values()), padded=bool(self.bare))


@dataclass(frozen=True)
class Cut:
    """A classifier in parts.

    Attributes:
        head: nodes from the graph's input to the first map, the image as float32 `(n, 3, H, W)`.
        image: that map's name.
        parts: in order.
        tail: the nodes behind the last part.
        shapes: of every map.
        constants: the graph's, by name.
    """

    head: list[onnx.NodeProto]
    image: str
    parts: list[Part]
    tail: list[onnx.NodeProto]
    shapes: dict[str, Shape]
    constants: dict[str, onnx.TensorProto]


def cut(model: onnx.ModelProto) -> Cut | None:
    """The parts of a bundle's `classifier.onnx`; None where it does not begin as one."""
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    if [node.op_type for node in nodes[:2]] != ["Cast", "Transpose"] or nodes[1].input[0] != nodes[0].output[0]:
        return None
    shapes, constants = _map_shapes(model), constants_of(model.graph)
    image = nodes[1].output[0]
    if image not in shapes:
        return None
    parts: list[Part] = []
    maps = {image}
    tail = 2
    for node in nodes[2:]:
        seen = field_of(node, constants)
        fits = all(name in maps for name in node.input if name and name not in constants)
        if seen is None or not fits or not all(name in shapes for name in node.output):
            break
        part = _part_for(parts, node, seen, shapes, constants)
        _add(part, node, seen, constants, shapes)
        maps.update(node.output)
        tail += 1
    _find_outputs(parts, nodes[tail:])
    for part in parts:
        _give_padding(part, shapes)
    return Cut(nodes[:2], image, parts, nodes[tail:], shapes, constants)


def _map_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    inferred = shape_inference.infer_shapes(model, strict_mode=True).graph
    shapes = {}
    for value in [*inferred.value_info, *inferred.output]:
        sides = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        if len(sides) == 4 and all(sides[1:]):
            shapes[value.name] = (sides[1], sides[2], sides[3])
    return shapes


def _part_for(
    parts: list[Part],
    node: onnx.NodeProto,
    seen: ReceptiveField,
    shapes: dict[str, Shape],
    constants: dict[str, onnx.TensorProto],
) -> Part:
    """The last part where `node` can join it, else a new one."""
    looks_around = seen != ReceptiveField(0, 0)
    if parts:
        last = parts[-1]
        size = shapes[last.nodes[-1].output[0]][1:]
        sizes = {shapes[name][1:] for name in [*node.input, *node.output] if name in shapes and name not in constants}
        if not looks_around and sizes == {size}:
            return last
    parts.append(Part())
    return parts[-1]


def _add(
    part: Part,
    node: onnx.NodeProto,
    seen: ReceptiveField,
    constants: dict[str, onnx.TensorProto],
    shapes: dict[str, Shape],
) -> None:
    inside = {name for earlier in part.nodes for name in earlier.output}
    taken = {name for name in node.input if name and name not in constants}
    if taken & inside:  # all that the part has seen so far may lie behind
        part.fields = {name: known.then(seen) for name, known in part.fields.items()}
    for name in taken - inside:
        part.fields[name] = part.fields[name].joined(seen) if name in part.fields else seen
    part.nodes.append(node)
    part.arithmetic += arithmetic(node, constants, shapes)


def _find_outputs(parts: list[Part], tail: list[onnx.NodeProto]) -> None:
    needed = {name for node in tail for name in node.input}
    for part in reversed(parts):
        part.outputs = tuple(name for node in part.nodes for name in node.output if name in needed)
        needed |= set(part.fields)


def _give_padding(part: Part, shapes: dict[str, Shape]) -> None:
    """Let a convolution's zeros come with its input, so that no window needs a margin, where windows then hold all."""
    first, fields = part.nodes[0], list(part.fields.values())
    sides = [[shapes[name][axis] for name in part.fields] for axis in (1, 2)]
    size = shapes[part.outputs[0]][1:]
    fits = all(fits_padded(fields, lengths, length) for lengths, length in zip(sides, size, strict=True))
    if first.op_type != "Conv" or not fits:
        return
    asked = {name: value for name, value in attributes(first).items() if name != "pads"}
    bare = helper.make_node("Conv", first.input, first.output, first.name, **asked)
    part.bare = [bare, *part.nodes[1:]]
