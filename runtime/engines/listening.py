"""What TensorRT says while it works: errors, which it writes to a log where it returns None."""

from typing import Any

_KEPT = 200  # messages; more are not read by anyone


class Listener:
    """Collects what one build says. One is shared by all: TensorRT keeps the first logger that it was given.

    Attributes:
        errors: in order.
    """

    def __init__(self, trt: Any) -> None:  # noqa: ANN401  (the module)
        self.errors: list[str] = []
        severities = trt.ILogger.Severity

        class Logger(trt.ILogger):  # type: ignore[misc]
            def __init__(inner) -> None:  # noqa: N805
                trt.ILogger.__init__(inner)

            def log(inner, severity: Any, message: str) -> None:  # noqa: ANN401, N805
                if severity in (severities.INTERNAL_ERROR, severities.ERROR) and len(self.errors) < _KEPT:
                    self.errors.append(" ".join(message.split()))

        self.logger = Logger()

    def clear(self) -> None:
        """Forget what an earlier build said."""
        self.errors.clear()


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
