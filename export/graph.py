"""Joins purifier and classifier, each an ONNX graph, into the fused graph, and cleans it of whatever is local.

What lies between the networks (casts, layout, scaling, what the purifier changed) is written out here in ONNX's text
form: it comes out the same in every version of PyTorch, and uint8 touches nothing but a Cast, as TensorRT asks for.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import compose, helper, parser, version_converter

import pixelproof
from pixelproof.errors import ExportError, UsageError
from pixelproof.export.interface import Interface
from pixelproof.export.others_code import cause

LARGEST_NBYTES = 2**31 - 2**24
"""An ONNX file with its weights inside is one protobuf message, below 2 GiB; the purifier has to fit in too."""
_LEAST_OPSET = 18  # ReduceMax takes its axes as an input from here on
_LEAST_IR = 10

_DECODE = """
decode (uint8[batch,{height},{width},3] images) => (float[batch,3,{height},{width}] levels)
{{
    values = Cast<to=1>(images)
    levels = Transpose<perm=[0,3,1,2]>(values)
}}
"""

_COMPARE = """
compare (float[batch,3,{height},{width}] before, float[batch,3,{height},{width}] after) => (
    float[batch,3,{height},{width}] seen, uint8[batch,{height},{width},3] purified,
    float[batch] suspicion, int64[batch,2] suspect)
<float black = {{0}}, float white = {{255}}, {constants}int64[1] axis = {{1}},
 int64[2] row_order = {{0, -1}}, int64 width = {{{width}}}, int64 nowhere = {{-1}}>
{{
    {rounding}
    channels_last = Transpose<perm=[0,2,3,1]>(level)
    purified = Cast<to=2>(channels_last)
    difference = Sub(seen, before)
    change = Abs(difference)
    by_pixel = ReduceMax<keepdims=0>(change, axis)
    in_row_order = Reshape(by_pixel, row_order)
    largest = ReduceMax<keepdims=1>(in_row_order, axis)
    share = Div(largest, white)
    suspicion = Squeeze(share, axis)
    index = ArgMax<axis=1, keepdims=1, select_last_index=0>(in_row_order)
    row = Div(index, width)
    column = Mod(index, width)
    place = Concat<axis=1>(row, column)
    changed = Greater(largest, black)
    suspect = Where(changed, place, nowhere)
}}
"""

_ROUND = {
    "constants": "float half = {0.5}, ",
    "rounding": "seen = Clip(after, black, white)  raised = Add(seen, half)  level = Floor(raised)",
}
_WHOLE = {"constants": "", "rounding": "seen = Identity(after)  level = Identity(after)"}

_SCALE = """
scale (float[batch,3,{height},{width}] shown) => (float[batch,3,{height},{width}] pixels)
<float top = {{255}}>
{{
    pixels = Div(shown, top)
}}
"""

_NORMALIZE = """
scale (float[batch,3,{height},{width}] shown) => (float[batch,3,{height},{width}] pixels)
<float top = {{255}}, float[3,1,1] mean = {{{mean}}}, float[3,1,1] std = {{{std}}}>
{{
    unit = Div(shown, top)
    centerd = Sub(unit, mean)
    pixels = Div(centerd, std)
}}
"""


def fuse(
    interface: Interface,
    classifier: onnx.ModelProto,
    purifier: onnx.ModelProto | None,
    metadata: dict[str, str],
    *,
    whole_values: bool = False,
) -> onnx.ModelProto:
    """The fused graph, or without a `purifier` the bare classifier's, from uint8 `images` to the design's outputs.

    Args:
        interface: sizes, classes and normalization.
        classifier: one float32 `(batch, 3, H, W)` to one float32 `(batch, classes)`.
        purifier: one float32 `(batch, 3, H, W)` on the 0..255 scale to the same.
        metadata: what the file says of itself.
        whole_values: the purifier gives whole pixel values, 0 to 255, which need no rounding.

    Raises:
        ExportError: the graphs cannot be brought to one opset, or do not join.
    """
    bodies = [classifier] if purifier is None else [classifier, purifier]
    opset, ir_version = max(_LEAST_OPSET, *map(_opset, bodies)), max(_LEAST_IR, *(b.ir_version for b in bodies))
    glue = _Glue(interface, opset, ir_version)
    try:
        joined, shown = glue.parse(_DECODE), "levels"
        if purifier is not None:
            compare = glue.parse(_COMPARE, **(_WHOLE if whole_values else _ROUND))
            joined, shown = _purify(joined, _fit(purifier, "purifier.", opset, ir_version), compare), "seen"
        joined = _join(joined, glue.parse(_NORMALIZE if interface.normalization else _SCALE), [(shown, "shown")])
        joined = _join(joined, body := _fit(classifier, "classifier.", opset, ir_version), [("pixels", _input(body))])
    except Exception as error:  # the converter's and the checker's kinds have no base class in common
        raise ExportError(
            f"purifier and classifier do not join into one ONNX graph of opset {opset}: {cause(error)}. "
            f"Next: export the classifier again with opset {opset}"
        ) from error
    logits = interface.outputs == "logits"
    last = parser.parse_node(f"probabilities = {'Softmax<axis=1>' if logits else 'Identity'}(classified)")
    last.input[:] = [_output(body)]
    joined.graph.node.append(last)
    return _finish(joined, interface, metadata, purifies=purifier is not None)


def serialized(model: onnx.ModelProto) -> bytes:
    """The bytes of an ONNX file, the same for the same model each time."""
    content: bytes = model.SerializeToString(deterministic=True)  # type: ignore[no-untyped-call]
    return content


def check_nbytes(what: str, nbytes: int) -> None:
    """`UsageError` where `what` is larger than a bundle's ONNX file can hold."""
    if nbytes > LARGEST_NBYTES:
        raise UsageError(
            f"{what} has {nbytes:,} bytes, and an ONNX file with its weights inside holds {LARGEST_NBYTES:,}. "
            f"Next: give a smaller network"
        )


class _Glue:
    """Fills in the glue's text and reads it as a model."""

    def __init__(self, interface: Interface, opset: int, ir_version: int) -> None:
        self._header = f'<ir_version: {ir_version}, opset_import: ["": {opset}]>'
        mean, std = interface.normalization or ((), ())
        self._values = {
            "height": interface.size[0],
            "width": interface.size[1],
            "mean": ", ".join(map(repr, mean)),
            "std": ", ".join(map(repr, std)),
        }

    def parse(self, text: str, **values: str) -> onnx.ModelProto:
        return parser.parse_model(self._header + text.format(**self._values, **values))


def _purify(decoded: onnx.ModelProto, purifier: onnx.ModelProto, compare: onnx.ModelProto) -> onnx.ModelProto:
    purified = _join(decoded, purifier, [("levels", _input(purifier))], keep=["levels"])
    return _join(purified, compare, [("levels", "before"), (_output(purifier), "after")])


def _join(
    first: onnx.ModelProto, second: onnx.ModelProto, links: list[tuple[str, str]], keep: Iterable[str] = ()
) -> onnx.ModelProto:
    """`first` feeding `second`; outputs: the second's, those of the first that nothing took, and `keep`."""
    taken = {output for output, _ in links}
    left = [value.name for value in first.graph.output if value.name not in taken or value.name in keep]
    outputs = [*left, *(value.name for value in second.graph.output)]
    return compose.merge_models(first, second, io_map=links, outputs=outputs)


def _fit(model: onnx.ModelProto, prefix: str, opset: int, ir_version: int) -> onnx.ModelProto:
    """A copy of `model` for joining: its names prefixed, of the given opset, and stripped."""
    if _opset(model) < opset:
        model = version_converter.convert_version(model, opset)
    fitted = compose.add_prefix(model, prefix)
    _prefix_in_branches(fitted.graph, {tensor.name for tensor in model.graph.initializer}, prefix)
    fitted.ir_version = ir_version
    _strip(fitted)
    return fitted


def _prefix_in_branches(graph: onnx.GraphProto, weights: set[str], prefix: str) -> None:
    """Prefix the weights that branches and loops read by their names outside, which `compose` leaves as they are."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                for inner in attribute.g.node:
                    inner.input[:] = [prefix + name if name in weights else name for name in inner.input]
                _prefix_in_branches(attribute.g, weights, prefix)


def _opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), _LEAST_OPSET)


def _input(model: onnx.ModelProto) -> str:
    return model.graph.input[0].name


def _output(model: onnx.ModelProto) -> str:
    return model.graph.output[0].name


def _strip(message: Any) -> None:  # noqa: ANN401  (any protobuf message)
    """Clear what exporters note down for people, everywhere in `message`: stack traces and absolute paths are in it."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for child in [value] if hasattr(value, "ListFields") else value:
                _strip(child)


def _finish(
    model: onnx.ModelProto, interface: Interface, metadata: dict[str, str], *, purifies: bool
) -> onnx.ModelProto:
    """Give the joined graph its public outputs, its name and its metadata."""
    _strip(model)
    del model.graph.value_info[:]  # shapes that each exporter noted in its own way; runtimes infer them
    del model.graph.output[:]
    for spec in interface.outputs_spec(purifies=purifies):
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(spec["dtype"]))
        model.graph.output.append(helper.make_tensor_value_info(spec["name"], dtype, spec["shape"]))
    model.graph.name = "pipeline" if purifies else "classifier"
    model.producer_name, model.producer_version = "pixelproof", pixelproof.__version__
    helper.set_model_props(model, metadata)
    return model
