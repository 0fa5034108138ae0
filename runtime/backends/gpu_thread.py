"""One thread on which ONNX Runtime opens and runs its sessions on the GPU in this process.

ONNX Runtime keeps recordings (CUDA graphs), and handles of CUDA's libraries, for each thread that runs a session: with
threads that come and go it would record again and again, and free nothing. And while one thread records, memory that
another asks the GPU for is refused to it.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class _Thread:
    """It begins with the first work, and ends with the process."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises there; at once where this is that thread."""
        if threading.current_thread() is self._thread:
            return work()
        with self._beginning:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="pixelproof-gpu", daemon=True)
                self._thread.start()
        done: Future[T] = Future()
        self._asked.put((work, done))
        return done.result()

    def _serve(self) -> None:
        while True:
            work, done = self._asked.get()
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
            del work, done  # the batch is theirs alone


_thread = _Thread()


def on_gpu_thread(work: Callable[[], T]) -> T:
    """What `work` returns, or raises, on the thread; one after the other, in the order in which they were asked for.

    Work that is no longer waited for, as after Ctrl-C, is done to its end.
    """
    return _thread.do(work)


def _begin_anew() -> None:
    global _thread  # noqa: PLW0603  (the thread stayed with the parent, and waiting for it would hang)
    _thread = _Thread()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_anew)
