"""A build's progress, and Ctrl-C while TensorRT has the word."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Cancel:
    """Whether Ctrl-C was pressed while TensorRT had the word; it cannot be interrupted, but asks now and then."""

    def __init__(self) -> None:
        self.pressed = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note Ctrl-C instead of raising it; in other threads than the main one nothing is changed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def note(*_: object) -> None:
            self.pressed = True

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def monitor(trt: Any, progress: Callable[[str, int, int], None], cancel: Cancel) -> Any:  # noqa: ANN401
    """A progress monitor of this TensorRT that tells `progress` each phase's steps, and stops where it is to."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, name: str, _parent: str | None, steps: int) -> None:
            self._steps[name] = steps
            progress(name, 0, steps)

        def step_complete(self, name: str, step: int) -> bool:
            progress(name, min(step + 1, self._steps.get(name, 1)), self._steps.get(name, 1))
            return not cancel.pressed

        def phase_finish(self, name: str) -> None:
            progress(name, self._steps.get(name, 1), self._steps.get(name, 1))

    return Monitor()
