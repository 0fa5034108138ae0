"""PyTorch to ONNX, with the exporter's chatter kept off the terminal."""

import copy
from typing import cast

import onnx
import torch
from torch import nn

from pixelproof import vector_math
from pixelproof.errors import ExportError
from pixelproof.export.limits import check_nbytes
from pixelproof.export.messages import cause, interrupts_kept, quiet

_EXAMPLES = 2  # with a single example image the exporter takes the batch for a constant


_NEXT = "mend its forward(), or export it to ONNX yourself and give the file: pixelproof export FILE.onnx"


def trace(module: nn.Module, size: tuple[int, int], *, what: str, next_step: str = _NEXT) -> onnx.ModelProto:
    """`module`, which takes one float32 `(batch, 3, H, W)`, as ONNX with a symbolic batch and fixed H and W.

    `what` names the module in the `ExportError` that says it cannot be exported, `next_step` says what to do then.
    """
    check_nbytes(what, sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()]))
    example = torch.zeros((_EXAMPLES, 3, *size))
    try:
        with interrupts_kept(), quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                external_data=False,
                optimize=True,
                verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except Exception as error:  # the exporter's own, or whatever the user's code raises
        raise _failed(what, cause(error), next_step) from error
    model = cast(onnx.ModelProto, program.model_proto)  # type: ignore[union-attr]
    for value in [*model.graph.input, *model.graph.output]:  # the exporter may bake the batch in without a word
        if not (batch := value.type.tensor_type.shape.dim[0]).dim_param:
            raise _failed(what, f"the batch axis of '{value.name}' came out fixed at {batch.dim_value}", next_step)
    return model


def _failed(what: str, why: str, next_step: str) -> ExportError:
    return ExportError(f"PyTorch cannot export {what} to ONNX for batches of any size: {why}. Next: {next_step}")


def frozen(module: nn.Module) -> nn.Module:
    """A copy of `module` for inference: on the CPU, in float32, in evaluation mode. `module` stays as it is."""
    vector_math.settle()
    return copy.deepcopy(module).to("cpu", torch.float32).eval().requires_grad_(False)
