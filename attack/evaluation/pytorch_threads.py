"""How many CPU threads PyTorch uses."""

from collections.abc import Iterator
from contextlib import contextmanager

from pixelproof.errors import missing_extra


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
