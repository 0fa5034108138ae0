"""Whether a parsed network computes in the precision that the bundle is named after."""

from typing import Any

from pixelproof.errors import ExportError

LEAST_SHARE = 0.9
"""Of the classifier's convolutions that have to be in the named precision."""


def lower_shares(trt: Any, network: Any) -> dict[str, float]:  # noqa: ANN401  (TensorRT's own types)
    """The shares of the classifier's convolutions that are float16, and that are fed by dequantised values."""
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
    fed = [made_by.get(layer.get_input(0).name) for layer in convolutions]
    quantised = sum(layer is not None and layer.type == trt.LayerType.DEQUANTIZE for layer in fed)
    return {"fp16": half / len(convolutions), "int8": quantised / len(convolutions)}


def check_shares(precision: str, shares: dict[str, float]) -> None:
    """`ExportError` where the shares contradict the name."""
    told = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
    wrong = [name for name, share in shares.items() if name != precision and share > 1 - LEAST_SHARE]
    if wrong or shares.get(precision, 1.0) < LEAST_SHARE:
        raise ExportError(
            f"the bundle is named {precision}, and of its classifier's convolutions are {told}. "
            f"Next: pixelproof export ... --precision {precision} --target tensorrt --force"
        )
