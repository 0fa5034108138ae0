"""TensorRT's timing cache: how fast each way to run a layer was, so that the next build need not measure it again."""

import hashlib
import re
from pathlib import Path
from typing import Any

from pixelproof.files import cached, keep, user_cache
from pixelproof.runtime.engines import Machine


class Timings:
    """What is known of one TensorRT on one GPU; nothing where nothing is measured.

    A file whose bytes are not those of its hash, or which TensorRT refuses, is passed over: all is measured anew.

    Args:
        config: TensorRT's builder configuration, which measures with the cache from here on.
        machine: where; None: without a GPU, where nothing is measured.
    """

    def __init__(self, config: Any, machine: Machine | None) -> None:  # noqa: ANN401
        self._config, self._path = config, None
        if machine is None or not hasattr(config, "create_timing_cache"):
            return
        self._path = timings_path(machine)
        self._known = _read(self._path)
        self._cache = config.create_timing_cache(self._known)  # held here: it has to outlive the build
        if not config.set_timing_cache(self._cache, ignore_mismatch=False):
            self._known, self._cache = b"", config.create_timing_cache(b"")
            config.set_timing_cache(self._cache, ignore_mismatch=False)

    def save(self) -> None:
        """Keep what the build has added, with its hash."""
        if self._path is None:
            return
        measured = bytes(self._config.get_timing_cache().serialize())
        if measured != self._known:
            keep(self._path, hashlib.sha256(measured).hexdigest().encode() + b"\n" + measured)


def timings_path(machine: Machine) -> Path:
    """Where the timings of a TensorRT on a GPU are kept."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{machine.flavor}-{machine.version}-{machine.gpu}")
    return user_cache() / "timings" / f"{name}.cache"


def _read(path: Path) -> bytes:
    digest, _, known = (cached(path) or b"").partition(b"\n")
    return known if hashlib.sha256(known).hexdigest().encode() == digest else b""
