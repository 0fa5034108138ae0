"""The purifier to export: a shipped one by name, or a module."""

import functools
from dataclasses import dataclass, field

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from pixelproof.errors import UsageError
from pixelproof.export.classifiers.torch_module import frozen, state_sha256, trace, unwrapped
from pixelproof.export.others_code import build_own, cause, others_code
from pixelproof.files import sha256_file
from pixelproof.models import PURIFIERS, build_purifier, weights_path
from pixelproof.models.purifiers import offers_of

_NEXT = "mend its forward()"


@dataclass(frozen=True)
class Purifier:
    """A purifier in PyTorch: float32 `(n, 3, H, W)` on the 0..255 scale to the same, in evaluation mode."""

    name: str
    weights_sha256: str | None
    module: nn.Module
    _graphs: dict[tuple[int, int], onnx.ModelProto] = field(default_factory=dict, init=False, repr=False, compare=False)

    def run(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The purified `levels`, float32 `(n, 3, H, W)` clipped to 0..255; `UsageError` where it does not run."""
        try:
            with others_code(), torch.no_grad():
                cleaned = self.module(torch.from_numpy(levels))
        except Exception as error:  # whatever the user's code raises
            height, width = levels.shape[2:]
            raise UsageError(
                f"purifier '{self.name}' does not run on images of {height}x{width}: {cause(error)}. "
                f"Next: give larger images, mend its forward(), or --purifier none"
            ) from error
        if not isinstance(cleaned, torch.Tensor) or cleaned.dtype != torch.float32 or cleaned.shape != levels.shape:
            kind = type(cleaned).__name__
            if isinstance(cleaned, torch.Tensor):
                kind = f"{str(cleaned.dtype).removeprefix('torch.')} {tuple(cleaned.shape)}"
            raise self._unfit(f"has to give what it takes, float32 {levels.shape}, got {kind}")
        if not torch.isfinite(cleaned).all():
            raise self._unfit("gives values that are not finite on real images")
        purified: NDArray[np.float32] = cleaned.clamp(0, 255).numpy()
        return purified

    def _unfit(self, what: str) -> UsageError:
        return UsageError(f"purifier '{self.name}' {what}. Next: mend its forward(), then export again")

    @property
    def whole_values(self) -> bool:
        """Whether it says that whole pixel values, 0 to 255, stay such, and need no rounding."""
        return offers_of(self.module).whole_values

    def to_onnx(self, size: tuple[int, int]) -> onnx.ModelProto:
        """The ONNX graph for images of (H, W), one input and one output, traced once and not to be changed.

        A module that has a cheaper form of itself for this, `fused()`, is exported in that form, and the bundle is
        then verified against the module as it is. `ExportError` where PyTorch cannot export it.
        """
        if size not in self._graphs:
            fused = offers_of(self.module).fused
            module = frozen(fused()) if fused else self.module
            self._graphs[size] = trace(module, size, what=f"purifier '{self.name}'", next_step=_NEXT)
        return self._graphs[size]


def open_purifier(asked: str | nn.Module) -> Purifier | None:
    """The purifier `asked` for: a name, `module:function` or a module; None for "none".

    Errors as for `build_own`, and `UsageError` for an unknown name.
    """
    if not isinstance(asked, str):
        asked = unwrapped(asked)
        return Purifier(type(asked).__name__, state_sha256(asked), frozen(asked))
    if asked == "none":
        return None
    if ":" in asked:
        own = build_own(asked, "pixelproof export CLASSIFIER --purifier")
        return Purifier(asked, state_sha256(own), frozen(own))
    if asked not in PURIFIERS:
        build_purifier(asked)  # which refuses it
    path = weights_path(asked)
    return _shipped(asked, sha256_file(path) if path and path.is_file() else None)


@functools.lru_cache(maxsize=4)
def _shipped(name: str, weights_sha256: str | None) -> Purifier:
    """One for all exports of a process: its graph is the same before every classifier, and takes seconds to trace."""
    return Purifier(name, weights_sha256, frozen(build_purifier(name)))
