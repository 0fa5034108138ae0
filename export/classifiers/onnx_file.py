"""A classifier that is the user's own ONNX file."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from pixelproof.errors import UsageError, quote
from pixelproof.export.graph import check_nbytes, serialized
from pixelproof.export.others_code import cause
from pixelproof.runtime.backends.onnxruntime_cpu import PROVIDER, import_onnxruntime
from pixelproof.runtime.onnx_bytes import has_external_data


class OnnxClassifier:
    """An ONNX file from float32 `(batch, 3, H, W)` to float32 `(batch, classes)`, its batch axis symbolic."""

    source = "onnx"
    class_names: tuple[str, ...] | None = None

    def __init__(self, path: Path) -> None:
        """Read and check the file, with the external data beside it; `UsageError` where it is unfit."""
        self._path = path
        self._model, content = _load(path)
        _drop_constant_inputs(self._model.graph)
        _name_negative_dimensions(self._model.graph)
        _, _, height, width = _check_signature(path, self._model.graph)
        self._input = self._model.graph.input[0].name
        self._session = _open(path, content)
        self._model = _in_order(self._model)
        self.name = "".join(mark if mark.isprintable() else "?" for mark in path.name)
        self.weights_sha256: str | None = hashlib.sha256(content).hexdigest()
        self.size = (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """What ONNX Runtime gives for the file as it came; `UsageError` where it does not run on `pixels`."""
        try:
            outputs: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        except Exception as error:  # its exceptions share no base class
            raise UsageError(
                f"'{self._path}' does not run on float32 {pixels.shape}: {cause(error)}. "
                f"Next: check the size of its images, --size H,W, and that it takes batches of any size"
            ) from error
        return outputs

    def run_in_double(self, _pixels: NDArray[np.float32]) -> None:
        """None: ONNX Runtime computes the file in the precision that it has."""

    def to_onnx(self, _size: tuple[int, int], *, half: bool = False) -> onnx.ModelProto:
        """The graph in the file, with its weights inside; `UsageError` where it should be float16."""
        if half:
            raise UsageError(
                f"'{self._path}' is a float32 graph, and float16 is made from a PyTorch module alone. "
                "Next: give module:function, or --precision int8"
            )
        return self._model


def _load(path: Path) -> tuple[onnx.ModelProto, bytes]:
    """The model with all its weights, and the bytes of an ONNX file that holds just that."""
    if not path.is_file():
        raise UsageError(f"there is no ONNX file '{path}'. Next: check the name, ls {quote(path.parent)}")
    check_nbytes(f"'{path}'", path.stat().st_size)
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
        external = has_external_data(content)
    except (DecodeError, ValueError):
        raise UsageError(f"'{path}' is not an ONNX file, or is damaged. Next: export or copy it again") from None
    if not model.graph.node:
        raise UsageError(f"'{path}' holds no ONNX graph. Next: export or copy it again")
    if external:
        _load_external(path, model)
        content = serialized(model)
    return model, content


def _in_order(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with each node behind those that it reads, which ONNX Runtime does without and ONNX asks for."""
    if model.graph.sparse_initializer or _is_in_order(model.graph, {""}):  # sparse weights would be lost
        return model
    from onnxscript import ir

    sorted_model = ir.from_proto(model)
    sorted_model.graph.sort()
    return ir.to_proto(sorted_model)


def _is_in_order(graph: onnx.GraphProto, outside: set[str]) -> bool:
    """Whether each node, in branches and loops too, reads names of `outside` and what stands before it alone."""
    known = {*outside, *(tensor.name for tensor in graph.initializer), *(value.name for value in graph.input)}
    for node in graph.node:
        nested = [each.g for each in node.attribute if each.type == onnx.AttributeProto.GRAPH]
        if not known.issuperset(node.input) or not all(_is_in_order(graph, known) for graph in nested):
            return False
        known.update(node.output)
    return True


def _load_external(path: Path, model: onnx.ModelProto) -> None:
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # missing, short, or outside the folder: each has its own kind
        raise UsageError(
            f"the weights that '{path}' keeps in other files cannot be read: {cause(error)}. "
            f"Next: put those files beside it, under the names they were exported with"
        ) from error
    check_nbytes(f"'{path}'", sum(len(tensor.raw_data) for tensor in model.graph.initializer))


def _drop_constant_inputs(graph: onnx.GraphProto) -> None:
    """Files of IR version 3 list every weight among the inputs too."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)


def _name_negative_dimensions(graph: onnx.GraphProto) -> None:
    """Some converters write -1 for a dimension of any size, which ONNX Runtime takes so; the standard has names."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_value < 0:
                dimension.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"


def _check_signature(path: Path, graph: onnx.GraphProto) -> list[int | str]:
    """The dimensions of the one input, (batch, 3, H, W); `UsageError` unless it and the one output are fit."""
    _check_one(path, "input", graph.input, "(batch, 3, H, W)", rank=4)
    _check_one(path, "output", graph.output, "(batch, classes)", rank=2)
    batch, channels, *sides = _dimensions(graph.input[0])
    if isinstance(channels, int) and channels != 3:
        last = " (channels last: transpose inside the network)" if sides[-1] == 3 else ""
        raise _unfit(path, "input", "float32 (batch, 3, H, W)", f"{_shown(graph.input[0])}{last}")
    if isinstance(batch, int):
        raise UsageError(
            f"'{path}' takes batches of {batch} alone: {_shown(graph.input[0])}. Next: export it again with a symbolic "
            f'batch axis, in PyTorch torch.onnx.export(..., dynamic_shapes=({{0: torch.export.Dim("batch")}},))'
        )
    return [batch, channels, *sides]


def _check_one(path: Path, kind: str, values: Any, shape: str, *, rank: int) -> None:  # noqa: ANN401  (protobuf's list)
    shown = ", ".join(map(_shown, values)) or "none"
    if len(values) != 1:
        raise _unfit(path, kind, f"one {kind}, float32 {shape}", f"{len(values)}: {shown}")
    tensor: Any = values[0].type.tensor_type
    known = tensor.HasField("shape") or kind == "output"  # an output's shape may be left to the runtime
    if tensor.elem_type != onnx.TensorProto.FLOAT or not known:
        raise _unfit(path, kind, f"float32 {shape}", shown)
    if tensor.HasField("shape") and len(tensor.shape.dim) != rank:
        raise _unfit(path, kind, f"float32 {shape}", shown)


def _dimensions(value: onnx.ValueInfoProto) -> list[int | str]:
    """Each dimension's size, or its name where it is symbolic."""
    dimensions: Any = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dimensions]


def _shown(value: onnx.ValueInfoProto) -> str:
    kind = onnx.helper.tensor_dtype_to_string(value.type.tensor_type.elem_type).removeprefix("TensorProto.").lower()
    return f"{value.name} {kind} ({', '.join(map(str, _dimensions(value)))})"


def _unfit(path: Path, kind: str, expected: str, got: str) -> UsageError:
    return UsageError(
        f"the {kind} of '{path}' has to be {expected}, got {got}. "
        f"Next: export the network again with that {kind}; sizes and normalization are options of pixelproof export"
    )


def _open(path: Path, content: bytes) -> Any:  # noqa: ANN401  (onnxruntime.InferenceSession)
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # failures are raised; nothing is to be printed beside
    try:
        return runtime.InferenceSession(content, options, providers=[PROVIDER])
    except Exception as error:  # its exceptions share no base class
        raise UsageError(
            f"ONNX Runtime {runtime.__version__} refuses '{path}': {cause(error)}. Next: check how it was exported"
        ) from error
