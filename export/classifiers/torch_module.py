"""A classifier that is a PyTorch module, a shipped one or the user's own, and how such a module becomes ONNX."""

import copy
import hashlib
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from pixelproof import vector_math
from pixelproof.errors import ExportError, UsageError
from pixelproof.export.graph import check_nbytes
from pixelproof.export.others_code import cause, interrupts_kept, others_code, quiet
from pixelproof.models.layers import Normalize

_EXAMPLES = 2  # with a single example image the exporter takes the batch for a constant
_NEXT = "mend its forward(), or export it to ONNX yourself and give the file: pixelproof export FILE.onnx"
# not that one's own ONNX file be given: float16 is made from a PyTorch module alone. What is float32 in spite of half()
# is nearly always a constant that forward() makes
_NEXT_HALF = (
    "mend its forward(): the tensors that it makes stay float32, so let them be buffers (self.register_buffer in "
    "__init__), or give a normalization as --mean and --std instead; or --precision int8"
)


class TorchClassifier:
    """An `nn.Module` from float32 `(n, 3, H, W)` to `(n, classes)`; a copy of it is run, in evaluation mode."""

    def __init__(
        self,
        name: str,
        source: str,
        weights_sha256: str | None,
        module: nn.Module,
        *,
        size: tuple[int, int] | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        self.name, self.source, self.weights_sha256 = name, source, weights_sha256
        self.size, self.class_names = size, class_names
        try:
            with interrupts_kept():
                self._module = frozen(module)
        except Exception as error:  # whatever the user's code raises
            raise ExportError(
                f"classifier '{name}' cannot be copied to the CPU in float32: {cause(error)}. "
                f"Next: give a module whose parameters are plain tensors"
            ) from error

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the module gives for float32 `(n, 3, H, W)`; `UsageError` where it does not run on them."""
        try:
            with others_code(), torch.no_grad():
                outputs = self._module(torch.from_numpy(pixels))
        except Exception as error:  # whatever the user's code raises
            raise UsageError(
                f"classifier '{self.name}' does not run on float32 {pixels.shape}: {cause(error)}. Next: check the "
                "size of its images, --size H,W; one of gray images has to make gray of the three channels itself"
            ) from error
        if not isinstance(outputs, torch.Tensor):
            raise UsageError(
                f"classifier '{self.name}' has to give one tensor, (n, classes), got {type(outputs).__name__}. "
                f"Next: let its forward() return the logits alone"
            )
        if outputs.dtype != torch.float32:
            raise UsageError(
                f"classifier '{self.name}' has to give float32, got {str(outputs.dtype).removeprefix('torch.')}. "
                "Next: let its forward() return the logits' .float()"
            )
        return outputs.numpy()

    def run_in_double(self, pixels: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """What the module gives in float64; None where it does not run in that."""
        try:
            with others_code(), torch.no_grad():
                double = copy.deepcopy(self._module).double()
                outputs: NDArray[np.float64] = double(torch.from_numpy(pixels).double()).numpy()
        except Exception:  # whatever the user's code raises: constants that forward() makes, for one, are float32
            return None
        return outputs

    def to_onnx(self, size: tuple[int, int], *, half: bool = False) -> onnx.ModelProto:
        """The module's ONNX graph for images of (H, W); `ExportError` where PyTorch cannot export it."""
        what = f"classifier '{self.name}'"
        if half:
            return trace(Half(self._module), size, what=f"{what} in float16", next_step=_NEXT_HALF)
        return trace(self._module, size, what=what)


class Half(nn.Module):
    """A module's body in float16; float32 in and out, and a shipped network's normalization in float32."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        body = frozen(module)
        self.normalize: nn.Module = nn.Identity()
        if isinstance(inside := getattr(body, "normalise", None), Normalize):
            self.normalize, body.normalise = inside, nn.Identity()
        self.body = body.half()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`(n, 3, H, W)` to `(n, classes)`."""
        outputs: torch.Tensor = self.body(self.normalize(pixels).half())
        return outputs.float()


def unwrapped(module: nn.Module) -> nn.Module:
    """The network in what `DataParallel` or `torch.compile` makes of one: it computes the same.

    Raises `UsageError` for what is no `nn.Module`.
    """
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"expected a name, a path or a torch.nn.Module, got {type(module).__name__}. "
            "Next: give the network that was built, not what builds it"
        )
    inside = getattr(module, "_orig_mod", None)  # of torch.compile
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inside = module.module
    return unwrapped(inside) if isinstance(inside, nn.Module) else module


def state_sha256(module: nn.Module) -> str | None:
    """The SHA-256 of the safetensors file that holds `module`'s parameters and buffers; None where it has none."""
    tensors = {
        name: value.detach().cpu().contiguous().clone()  # a clone: safetensors refuses tensors that share memory
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor)
    }
    return hashlib.sha256(save(tensors)).hexdigest() if tensors else None


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
