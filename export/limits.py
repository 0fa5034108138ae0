"""How large an ONNX file can be."""

from pixelproof.errors import UsageError

LARGEST_NBYTES = 2**31 - 2**24
"""An ONNX file with its weights inside is one protobuf message, below 2 GiB; the purifier has to fit in too."""


def check_nbytes(what: str, nbytes: int) -> None:
    """`UsageError` where `what` is larger than a bundle's ONNX file can hold."""
    if nbytes > LARGEST_NBYTES:
        raise UsageError(
            f"{what} has {nbytes:,} bytes, and an ONNX file with its weights inside holds {LARGEST_NBYTES:,}. "
            f"Next: give a smaller network"
        )
