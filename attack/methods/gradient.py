"""Ranks candidates by one backward pass: the first-order change of the margin.

Source: one gradient as the estimate of every single replacement: Ebrahimi, Rao, Lowd, Dou, "HotFlip: white-box
adversarial examples for text classification", ACL 2018 (there of characters).

Imports PyTorch when an order is made, not before.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof import vector_math
from pixelproof.attack.methods.orders import Order, rank
from pixelproof.errors import PixelproofError, UsageError, missing_extra

if TYPE_CHECKING:
    from torch import Tensor, nn


def gradient_order(module: "nn.Module") -> Order:
    """An order that asks a network's gradient, one forward and one backward pass for each batch of images.

    A candidate's score is grad . (new color - present color), where grad is the gradient of the margin: the true
    class's output minus the best other's (targeted: minus the target's). The most negative comes first.

    Args:
        module: an `nn.Module`, in the mode in which it is to be judged: float32 `(n, 3, H, W)` on the 0..255 scale
            to logits or probabilities `(n, classes)`. For an adaptive attack this is purifier and classifier as one;
            what the gradient does at a gate is the module's own affair.

    Raises:
        UsageError: `module` is no `nn.Module`.
        PixelproofError: PyTorch is not installed; or, when ranking, the module gives another shape or NaN.
    """
    try:
        from torch import nn
    except ModuleNotFoundError:
        raise missing_extra("PyTorch", "export", "gradient_order") from None
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"gradient_order got {type(module).__name__}, expected a torch.nn.Module. "
            "Next: pass the network itself, or use sweep_order(predict)"
        )

    def order(
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        colors: NDArray[np.uint8],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.int32]:
        gradient = _margin_gradient(module, images, labels, targets)
        scores = np.zeros(colors.shape[:-1], np.float32)
        for channel in range(3):
            change = colors[..., channel].astype(np.float32) - images[..., None, channel]
            scores += gradient[..., None, channel] * change
        return rank(scores.reshape(len(images), -1))

    return order


def _margin_gradient(
    module: "nn.Module", images: NDArray[np.uint8], labels: NDArray[np.int64], targets: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """The margin's gradient on the 0..255 scale, float32 `(n, H, W, 3)`."""
    import torch

    vector_math.settle()
    parameter = next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)).to(device).requires_grad_()
    true = torch.from_numpy(labels).to(device)[:, None]
    with torch.enable_grad():
        needed = 1 + int(max(labels.max(), 1) if targets is None else max(labels.max(), targets.max()))
        outputs = _checked(module(inputs), len(images), needed)
        rival = _best_other(outputs, true) if targets is None else torch.from_numpy(targets).to(device)[:, None]
        margin = outputs.gather(1, true) - outputs.gather(1, rival)
        (gradient,) = torch.autograd.grad(margin.sum(), inputs)
    found: NDArray[np.float32] = gradient.permute(0, 2, 3, 1).cpu().numpy()
    if not np.isfinite(found).all():
        raise PixelproofError("the module's gradient is not finite. Next: use sweep_order(predict), or no order")
    return found


def _best_other(outputs: "Tensor", true: "Tensor") -> "Tensor":
    return outputs.detach().scatter(1, true, float("-inf")).argmax(dim=1, keepdim=True)


def _checked(outputs: Any, count: int, needed: int) -> "Tensor":  # noqa: ANN401  (whatever the module gives)
    import torch

    shape: tuple[int, ...] = tuple(getattr(outputs, "shape", ()))
    if not isinstance(outputs, torch.Tensor) or len(shape) != 2 or shape[0] != count or shape[1] < needed:
        raise UsageError(
            f"the module gave {type(outputs).__name__} of shape {shape}, expected a Tensor of shape "
            f"({count}, classes >= {needed}). Next: pass a module that returns logits or probabilities alone"
        )
    if not outputs.requires_grad:
        raise PixelproofError("the module's output has no gradient. Next: use sweep_order(predict), or no order")
    if outputs.isnan().any():
        raise PixelproofError("the module gave NaN. Next: check its weights")
    return outputs
