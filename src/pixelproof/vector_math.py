"""Keeps PyTorch's first square root, exponential and the like in a process from being wrong by a thousandth.

PyTorch hands such functions to MKL, which looks for a function's code at its first call. Where two threads make that
call at once, one may run code of few digits over its whole share (MKL 2024.2; PyTorch's issue 188792). Half of a batch
is then purified a little differently, once, and never again in that process.
"""

from functools import cache

_FUNCTIONS = "acos asin atan cos erf erfc exp expm1 log log10 log1p log2 sigmoid sin sqrt tan tanh"


@cache
def settle() -> None:
    """Let MKL find the code of each function in one thread, before any network runs; needs PyTorch, takes no time."""
    import torch

    for kind in (torch.float32, torch.float64):
        one = torch.full((1,), 0.5, dtype=kind)
        for name in _FUNCTIONS.split():
            getattr(torch, name)(one)
