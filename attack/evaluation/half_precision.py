"""A shipped network as a device runs it fastest: its classifier in half precision, compiled where that can be."""

import copy
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pixelproof.errors import missing_extra

if TYPE_CHECKING:
    from torch import Tensor, nn


def half_precision(
    classifier: "nn.Module",
    purifier: "nn.Module | None",
    device: str,
    *,
    dtype: Literal["float16", "bfloat16"] = "float16",
    compiled: bool = False,
    tuned: bool = False,
) -> "Callable[[Tensor], Tensor]":
    """Uint8 `(n, H, W, 3)` to float32 probabilities `(n, classes)`, both on `device`.

    In float16 probabilities are off by some thousandths (at most 0.006 on the 200 shipped images, ResNet-32), so that
    a success found by them has to hold in float32 too. The purifier keeps float32: its decisions are comparisons.

    Args:
        classifier: `(n, 3, H, W)` in 0..1 to logits; stays as it is.
        purifier: `(n, 3, H, W)` on the 0..255 scale to the same, likewise; None for none.
        device: "cuda" or "cpu".
        dtype: of the classifier: "float16", or "bfloat16", which CPUs with AMX or AVX-512 BF16 are fast at.
        compiled: by `torch.compile`, at the first call for each shape.
        tuned: that compiler times Triton's convolutions against cuDNN's for each layer, and takes the faster: on an
            H200 it took 18 s longer, and ResNet-32 went through 2.5 times as many candidates a second.
    """
    import torch
    from torch.fx.experimental.optimization import fuse

    half = getattr(torch, dtype)
    fast = fuse(classifier.eval()).to(device, half).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = None if purifier is None else copy.deepcopy(purifier).eval().to(device)

    def classify(images: "Tensor") -> "Tensor":
        levels = images.permute(0, 3, 1, 2).float().contiguous()  # cuDNN's float32 convolutions are slow channels-last
        purified = levels if before is None else before(levels).clamp(0, 255)
        shown = (purified / 255).to(half).contiguous(memory_format=torch.channels_last)
        probabilities: Tensor = fast(shown).float().softmax(1)
        return probabilities

    if not compiled:
        return classify
    torch.compiler.reset()  # it keeps few versions of one function, and a run over many bundles asks for more
    return torch.compile(classify, dynamic=False, options=_tuning() if tuned else None)


def _tuning() -> dict[str, Any]:
    """What makes the compiler time its choices and say nothing of it, of what this version of PyTorch knows."""
    from torch._inductor import config, select_algorithm

    select_algorithm.PRINT_AUTOTUNE = False  # a table a layer, on standard error
    wanted = {
        "max_autotune": True,
        "max_autotune_conv_backends": "ATEN,TRITON",
        "max_autotune_report_choices_stats": False,
    }
    return {name: value for name, value in wanted.items() if hasattr(config, name)}


def can_compile() -> bool:
    """Whether `torch.compile` has what it asks for on a GPU: Triton, and a C compiler for its launchers."""
    return importlib.util.find_spec("triton") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))


@contextmanager
def pytorch_threads(threads: int | None, *, purpose: str) -> Iterator[None]:
    """Meanwhile PyTorch uses so many CPU threads; None: as many as it would. `PixelproofError` where it is missing."""
    try:
        import torch
    except ModuleNotFoundError:
        raise missing_extra("PyTorch", "export", purpose) from None
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
