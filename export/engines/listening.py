"""What TensorRT says while it works: errors, which it writes to a log and returns as None, and progress."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_KEPT = 200  # messages; more are not read by anyone


class Listener:
    """Collects what one build says. One is shared by all: TensorRT keeps the first logger that it was given.

    Attributes:
        errors: in order.
        warnings: likewise.
    """

    def __init__(self, trt: Any) -> None:  # noqa: ANN401  (the module)
        self.errors: list[str] = []
        self.warnings: list[str] = []
        severities = trt.ILogger.Severity

        class Logger(trt.ILogger):  # type: ignore[misc]
            def __init__(inner) -> None:  # noqa: N805
                trt.ILogger.__init__(inner)

            def log(inner, severity: Any, message: str) -> None:  # noqa: ANN401, N805
                kept = {
                    severities.INTERNAL_ERROR: self.errors,
                    severities.ERROR: self.errors,
                    severities.WARNING: self.warnings,
                }.get(severity)
                if kept is not None and len(kept) < _KEPT:
                    kept.append(" ".join(message.split()))

        self.logger = Logger()

    def clear(self) -> None:
        """Forget what an earlier build said."""
        self.errors.clear()
        self.warnings.clear()


_listeners: dict[str, Listener] = {}


def listener(trt: Any) -> Listener:  # noqa: ANN401  (the module)
    """The one for this TensorRT, with nothing said yet."""
    if trt.__name__ not in _listeners:
        _listeners[trt.__name__] = Listener(trt)
    held = _listeners[trt.__name__]
    held.clear()
    return held


def first_cause(errors: list[str]) -> str:
    """The error that came first: what follows it is mostly its consequence."""
    return errors[0].rstrip(".")[:400] if errors else "it gives no reason"


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
