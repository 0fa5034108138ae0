"""What the runtime must know of an ONNX file, read from its protobuf bytes without the onnx package.

An ONNX file is a protobuf message: fields, each a number, a wire type and a value (protobuf.dev, "Encoding").
Only the fields that can hold a tensor, or that name a value, are looked into; all others are stepped over.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

_FIELD_NUMBERS = 1 << 29  # below this, as the format has it
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# message -> {field number: message}, for every way that leads from a model to a tensor (onnx.proto3)
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_MODEL_GRAPH = 7
_MODEL_NOTES = {2, 3, 4, 5, 6, 14}  # producer's name and version, domain, model version, doc string, metadata
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 8, 13, 14
_VALUE_NAME = 1


class _Field(NamedTuple):
    number: int
    value: int | None  # of a varint
    body: memoryview | None  # of a length-delimited field
    raw: memoryview  # tag, length and value, as they stand in the file


def has_external_data(model: bytes) -> bool:
    """Whether a tensor in `model` keeps its values in another file; `ValueError` if `model` is not protobuf."""
    pending = [("model", memoryview(model))]
    while pending:
        kind, message = pending.pop()
        for field in _fields(message):
            if kind == "tensor":
                if field.number == _TENSOR_EXTERNAL_DATA or (field.number == _TENSOR_DATA_LOCATION and field.value):
                    return True
            elif field.body is not None and field.number in _CHILDREN[kind]:
                pending.append((_CHILDREN[kind][field.number], field.body))
    return False


def graph_sha256(model: bytes) -> str:
    """SHA-256 of `model` without what it says of itself: who made it, with which versions, notes.

    Two files with the same one compute the same by the same operations; `ValueError` if `model` is not protobuf.
    """
    digest = hashlib.sha256()
    for field in _fields(memoryview(model)):
        if field.number not in _MODEL_NOTES:
            digest.update(field.raw)
    return digest.hexdigest()


def keep_outputs(model: bytes, outputs: set[str]) -> bytes:
    """`model` with the graph outputs `outputs` alone, and without the nodes and weights that only others need.

    ONNX Runtime's released builds run every node, whatever outputs are fetched (`only_execute_path_to_fetches`
    works in training builds alone), so what is not wanted has to leave the graph.
    """
    return b"".join(
        _encode(field.number, _keep_in_graph(field.body, outputs))
        if field.number == _MODEL_GRAPH and field.body is not None
        else field.raw
        for field in _fields(memoryview(model))
    )


def _keep_in_graph(graph: memoryview, outputs: set[str]) -> bytes:
    fields = list(_fields(graph))
    needed = set(outputs)
    kept: list[memoryview] = []
    for field in reversed(fields):  # nodes stand in topological order, and a set needs no more than one pass back
        if field.number != _GRAPH_NODE or field.body is None:
            continue
        if needed.intersection(_strings(field.body, _NODE_OUTPUT)):
            needed |= _names_used(field.body)
            kept.append(field.raw)
    nodes = reversed(kept)
    others = (field.raw for field in fields if field.number != _GRAPH_NODE and _stays(field, outputs, needed))
    return b"".join([*nodes, *others])


def _stays(field: _Field, outputs: set[str], needed: set[str]) -> bool:
    if field.body is None:
        return True
    if field.number == _GRAPH_OUTPUT:
        return bool(outputs.intersection(_strings(field.body, _VALUE_NAME)))
    if field.number == _GRAPH_INITIALIZER:
        return bool(needed.intersection(_strings(field.body, _TENSOR_NAME)))
    return True


def _names_used(node: memoryview) -> set[str]:
    """The values that a node reads, with those that graphs inside it (`If`, `Loop`) take from around them.

    Such a graph's outputs are its own nodes' or it is invalid.
    """
    names: set[str] = set()
    pending = [("node", node)]
    while pending:
        kind, message = pending.pop()
        if kind == "node":
            names.update(_strings(message, _NODE_INPUT))
        for field in _fields(message):
            child = _CHILDREN[kind].get(field.number)
            if field.body is not None and child in ("node", "attribute", "graph"):
                pending.append((child, field.body))
    return names


def _strings(message: memoryview, number: int) -> list[str]:
    bodies = (field.body for field in _fields(message) if field.number == number)
    return [str(body, "utf-8") for body in bodies if body is not None]


def _fields(message: memoryview) -> Iterator[_Field]:
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        value = body = None
        if wire == _VARINT:
            value, position = _varint(message, position)
        elif wire == _BYTES:
            length, position = _varint(message, position)
            body = message[position : position + length]
            position += length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:  # groups: no ONNX file has them
            raise ValueError(f"wire type {wire} at byte {start}")
        # a runtime drops the bits above 32 of a tag, and would read another field
        if position > len(message) or not 0 < number < _FIELD_NUMBERS:
            raise ValueError(f"broken field at byte {start}")
        yield _Field(number, value, body, message[start:position])


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The value at `position`, seven bits a byte, lowest first, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"broken number before byte {position}")


def _encode(number: int, body: bytes) -> bytes:
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(len(body)) + body


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
