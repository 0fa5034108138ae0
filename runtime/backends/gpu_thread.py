"""One thread for all that ONNX Runtime does on the GPU in this process.

ONNX Runtime keeps recordings (CUDA graphs), and handles of CUDA's libraries, for each thread that runs a session: with
threads that come and go it would record again and again, and free nothing. And while one thread records, memory that
another asks the GPU for is refused to it.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_NAME = "pixelproof-gpu"


class _Thread:
    """It begins with the first work."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=_NAME)

    def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises there; at once where this is that thread."""
        if threading.current_thread().name.startswith(_NAME):
            return work()
        return self._pool.submit(work).result()


_thread = _Thread()


def on_gpu_thread(work: Callable[[], T]) -> T:
    """What `work` returns, or raises, on the thread; one after the other, in the order in which they were asked for."""
    return _thread.do(work)


def _begin_anew() -> None:
    global _thread  # noqa: PLW0603  (the thread stayed with the parent, and waiting for it would hang)
    _thread = _Thread()


os.register_at_fork(after_in_child=_begin_anew)
