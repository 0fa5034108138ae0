"""Other people's exceptions on one line."""


def cause(error: BaseException) -> str:
    """The type and first line of the exception at the root of `error`, short enough for a message."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300].rstrip('.')}" if lines else type(error).__name__
