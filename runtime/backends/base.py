"""What a backend is: something that opens a graph and runs batches through it; and the inputs and outputs of graphs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import BundleError, quote
from pixelproof.runtime.bundle import Bundle

FUSED_OUTPUTS = ("probabilities", "purified", "suspicion", "suspect")
BARE_OUTPUTS = ("probabilities",)


@dataclass(frozen=True)
class TensorSpec:
    """A graph's input or output: its dtype as NumPy names it, and its shape, a text for a symbolic dimension."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """What is to be opened.

    Attributes:
        model: the graph as ONNX bytes.
        size: height and width of the images; None where the input is no image.
        bundle: where it comes from, for backends that run an engine in the graph's place; None: from no bundle.
        part: "pipeline" or "classifier".
        like: a session of the same backend, whose settings hold for this one too; None: the backend's own.
    """

    model: bytes
    size: tuple[int, int] | None = None
    bundle: Bundle | None = None
    part: str = "pipeline"
    like: "Session | None" = None


class Session(Protocol):
    """One opened graph. `run` may be called from several threads at once."""

    provider: str
    """The execution provider that really runs."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def images_a_run(self, size: tuple[int, int]) -> int:
        """How many images of that height and width to give `run` at most."""

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs for one batch, C-contiguous uint8 `(n, H, W, 3)`; one call's arrays are its own."""

    def close(self) -> None:
        """Free what garbage collection would not; a batch that is running ends well."""


@dataclass(frozen=True)
class Backend:
    """A way to run graphs.

    Attributes:
        provider: the execution provider that it stands for.
        open: opens a graph on so many threads (None: its own choice); `PixelproofError` when it does not run on that
            provider.
        check: `PixelproofError`, with what keeps it from running anything on this machine.
        runs_engines: whether it runs a bundle's engine, and not the ONNX graph.
        automatic: whether `auto` may take it.
    """

    provider: str
    open: Callable[[Source, int | None], Session]
    check: Callable[[], None]
    runs_engines: bool = False
    automatic: bool = True


def tensors(image_size: tuple[int, int], classes: int) -> dict[str, TensorSpec]:
    """Input and outputs by name, of graphs for images of this height and width and so many classes."""
    height, width = image_size
    specs = (
        TensorSpec("images", "uint8", ("batch", height, width, 3)),
        TensorSpec("probabilities", "float32", ("batch", classes)),
        TensorSpec("purified", "uint8", ("batch", height, width, 3)),
        TensorSpec("suspicion", "float32", ("batch",)),
        TensorSpec("suspect", "int64", ("batch", 2)),
    )
    return {spec.name: spec for spec in specs}


def check_signature(bundle: Bundle, file: str, session: Session, outputs: tuple[str, ...]) -> None:
    """`BundleError` unless the opened graph takes and gives what the bundle's image size and classes ask for."""
    expected = tensors(bundle.image_size, len(bundle.class_names))
    found = {tensor.name: tensor for tensor in (*session.inputs, *session.outputs)}
    if len(session.inputs) != 1:
        raise _unfit(bundle, file, "has to have one input", ", ".join(tensor.name for tensor in session.inputs))
    for name in ("images", *outputs):
        if name not in found or not _fits(found[name], expected[name]):
            raise _unfit(bundle, file, f"has to have {_shown(expected[name])}", ", ".join(map(_shown, found.values())))


def _fits(found: TensorSpec, expected: TensorSpec) -> bool:
    """A dimension that the graph leaves open fits any number, and the batch has to be left open."""
    return (
        found.dtype == expected.dtype
        and len(found.shape) == len(expected.shape)
        and not isinstance(found.shape[0], int)
        and all(
            not isinstance(has, int) or has == wants for has, wants in zip(found.shape, expected.shape, strict=True)
        )
    )


def _shown(tensor: TensorSpec) -> str:
    return f"{tensor.name} {tensor.dtype} ({', '.join(map(str, tensor.shape))})"


def _unfit(bundle: Bundle, file: str, wanted: str, got: str) -> BundleError:
    return BundleError(
        f"bundle '{bundle.path}': {file} {wanted}, got {got}. "
        f"Next: export it again with pixelproof export CLASSIFIER -o {quote(bundle.path)} --force"
    )
