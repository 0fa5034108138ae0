"""The graphs' inputs and outputs as the format defines them, and the check that a graph has them."""

from pixelproof.errors import BundleError, quote
from pixelproof.runtime.backends import Session, TensorSpec
from pixelproof.runtime.bundle import Bundle

FUSED_OUTPUTS = ("probabilities", "purified", "suspicion", "suspect")
BARE_OUTPUTS = ("probabilities",)


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
