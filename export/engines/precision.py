"""Whether a parsed network computes in the precision that the bundle is named after."""

import json
from typing import Any

from pixelproof.errors import ExportError

LEAST_SHARE = 0.9
"""Of the classifier's convolutions that have to be in the named precision; in int8 of all but the first."""


def lower_shares(trt: Any, network: Any) -> dict[str, float]:  # noqa: ANN401  (TensorRT's own types)
    """The shares of the classifier's convolutions that are float16, and that are fed by dequantized values.

    The latter of all but the first: a bundle for TensorRT leaves that in float.
    """
    made_by = {}
    convolutions = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        for output in range(layer.num_outputs):
            made_by[layer.get_output(output).name] = layer
        if layer.type == trt.LayerType.CONVOLUTION and "classifier." in layer.name:
            convolutions.append(layer)
    if not convolutions:
        return {"fp16": 0.0, "int8": 0.0}
    half = sum(layer.get_output(0).dtype == trt.DataType.HALF for layer in convolutions)
    fed = [made_by.get(layer.get_input(0).name) for layer in convolutions[1:] or convolutions]
    quantized = sum(layer is not None and layer.type == trt.LayerType.DEQUANTIZE for layer in fed)
    return {"fp16": half / len(convolutions), "int8": quantized / len(fed)}


def inspected_shares(trt: Any, logger: Any, engine: bytes) -> dict[str, float] | None:  # noqa: ANN401
    """The same, of the convolutions as they were built, by TensorRT's inspector; needs a GPU.

    TensorRT may have joined layers into kernels of its own, which do not state what their weights are; None where none
    does.
    """
    loaded = trt.Runtime(logger).deserialize_cuda_engine(engine)
    if loaded is None:
        return None
    report = loaded.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    return shares_of_layers(json.loads(report).get("Layers", []))


def shares_of_layers(layers: list[Any]) -> dict[str, float] | None:
    """The shares of half-precision and int8 weights among the classifier's convolutions in an inspector's layers."""
    types = [layer["Weights"]["Type"] for layer in layers if _is_own_convolution(layer)]
    if not types:
        return None
    # which of them is the first is not stated: of all but one
    int8 = min(1.0, types.count("Int8") / max(1, len(types) - 1))
    return {"fp16": types.count("Half") / len(types), "int8": int8}


def _is_own_convolution(layer: Any) -> bool:  # noqa: ANN401
    """One of the classifier's; without detailed verbosity, layers are names alone."""
    return (
        isinstance(layer, dict)
        and "Convolution" in layer.get("ParameterType", "")
        and "classifier." in layer.get("Name", "")
        and "Type" in layer.get("Weights", {})
    )


def check_shares(precision: str, shares: dict[str, float]) -> None:
    """`ExportError` where the shares contradict the name."""
    found = f"{shares['fp16']:.0%} fp16, and of all but the first {shares['int8']:.0%} int8"
    wrong = [name for name, share in shares.items() if name != precision and share > 1 - LEAST_SHARE]
    if wrong or shares.get(precision, 1.0) < LEAST_SHARE:
        raise ExportError(
            f"the bundle is named {precision}, and of its classifier's convolutions are {found}. "
            f"Next: pixelproof export ... --precision {precision} --target tensorrt --force"
        )
