"""`Pipeline`: a bundle opened to purify and classify batches of images."""

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import BackendError, BundleError, UsageError, unknown_name
from pixelproof.runtime.backends import BACKENDS, Session, Source, check_backend, open_session
from pixelproof.runtime.backends.base import BARE_OUTPUTS, FUSED_OUTPUTS, check_signature
from pixelproof.runtime.bundle import CLASSIFIER, PIPELINE, read_bundle
from pixelproof.runtime.images import check_images
from pixelproof.runtime.onnx_bytes import keep_outputs

_MOST_A_CORE, _MOST_THREADS = 4, 64  # threads: more a core gain nothing; up to 64 are let pass on any machine


@dataclass(frozen=True, eq=False, slots=True)
class Result:
    """What a pipeline says of n images. The last three are None where no purifier ran."""

    labels: NDArray[np.int64]
    """`(n,)`: the most probable class, the lowest index on a tie."""
    probabilities: NDArray[np.float32]
    """`(n, classes)`, 0 to 1, each row summing to 1."""
    purified: NDArray[np.uint8] | None = None
    """`(n, H, W, 3)`: the images as the classifier saw them, rounded to whole values."""
    suspicion: NDArray[np.float32] | None = None
    """`(n,)`: the largest change that the purifier made to any value, 0 to 1."""
    suspect: NDArray[np.int64] | None = None
    """`(n, 2)`: row and column of that change, the first in row order on a tie; (-1, -1) where nothing changed."""


class Pipeline:
    """A bundle's purifier and classifier, ready to run on uint8 RGB images `(n, H, W, 3)`, n of any size.

    Use it as a context manager or call `close()`. Calls from several threads at once are safe. It survives no fork
    and cannot be pickled: open one in each process. Large batches are split; the results come in the images' order.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        *,
        backend: str = "auto",
        part: Literal["pipeline", "classifier"] = "pipeline",
        manifest_sha256: str | None = None,
        threads: int | None = None,
    ) -> None:
        """Read, check and open the bundle in the folder `bundle`.

        `backend`: "auto" or a name in `pixelproof.runtime.backends.BACKENDS`. `part`: "classifier" runs the
        bundle's bare classifier, without the purifier. `manifest_sha256`: what `bundle.json` must hash to (64 hex
        digits). `threads`: CPU threads a call may use (None: one a core; at
        most four a core, or 64).

        Raises `BundleError` for a bundle that is missing, damaged or of another format, `BackendError` where the
        backend does not run, `UsageError` for unfit arguments.
        """
        if part not in ("pipeline", "classifier"):
            raise unknown_name("part", part, ["pipeline", "classifier"], 'Pipeline(bundle, part="pipeline")')
        threads = _checked_threads(threads)
        check_backend(backend)
        opened = read_bundle(bundle, manifest_sha256=manifest_sha256)
        self.manifest = opened.manifest
        """`bundle.json` as it was read."""
        self.manifest_sha256 = opened.manifest_sha256
        """The SHA-256 of `bundle.json`, in hex."""
        self.class_names = opened.class_names
        """The classes' names, in the order of the probabilities."""
        self.image_size = opened.image_size
        """Height and width of the images, in pixels."""
        purifies = part == "pipeline" and opened.has_purifier
        file = PIPELINE if purifies else CLASSIFIER
        self.threads = threads
        """CPU threads a call may use; None for one a core."""
        self._path, self._model = opened.path, opened.files[file]
        self._outputs = FUSED_OUTPUTS if purifies else BARE_OUTPUTS
        self._process, self._lock = os.getpid(), threading.Lock()
        self._purifier: Session | None = None  # opened by the first purify()
        source = Source(self._model, self.image_size, opened, "pipeline" if purifies else "classifier")
        self.backend, session = open_session(backend, source, threads)
        """The backend's name, such as "cpu"."""
        self._session: Session | None = session  # None once closed
        self.provider = self._session.provider
        """The execution provider that really runs, such as "CPUExecutionProvider"."""
        try:
            check_signature(opened, file, session, self._outputs)
        except BundleError:
            self.close()
            raise

    def __call__(self, images: NDArray[np.uint8]) -> Result:
        """Purify and classify `images`, uint8 RGB `(n, H, W, 3)`; `UsageError` for any others."""
        arrays = dict(zip(self._outputs, self._run(self._usable(), images, self._outputs), strict=True))
        return Result(labels=arrays["probabilities"].argmax(axis=1), **arrays)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities alone, float32 `(n, classes)`: those of a call, bit for bit."""
        return self._run(self._usable(), images, ["probabilities"])[0]

    def purify(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The purified images alone, uint8 `(n, H, W, 3)`; the classifier is not run."""
        if "purified" not in self._outputs:
            raise UsageError(
                f"bundle '{self._path}' has no purifier, or was opened with part='classifier'. "
                f"Next: pixelproof export CLASSIFIER --purifier gated -o BUNDLE"
            )
        with self._lock:
            self._usable()
            if self._purifier is None:
                self._purifier = self._open_purifier()
            purifier = self._purifier
        return self._run(purifier, images, ["purified"])[0]

    @property
    def session(self) -> Session:
        """What runs, for those who work below this class; errors as for a call."""
        return self._usable()

    @property
    def graph(self) -> bytes:
        """The ONNX file that runs, or that the engine which runs was built from; empty once closed."""
        return self._model

    def close(self) -> None:
        """Let go of the graphs; later calls are errors.

        A call that is running ends well, but for one that TensorRT runs in several batches, which may end in a
        `BackendError`.
        """
        with self._lock:
            sessions = {session for session in (self._session, self._purifier) if session is not None}
            self._session = self._purifier = None
            self._model = b""
        for session in sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:  # what sends it to another process would fail on a lock, without advice
        raise BackendError(
            f"this pipeline of '{self._path}' cannot be pickled, copied or sent to another process. "
            f"Next: open it in the process that uses it, {self._opening}"
        )

    def _open_purifier(self) -> Session:
        backend = BACKENDS[self.backend]
        if backend.runs_engines:  # an engine cannot be cut down: it runs whole, and one output is fetched
            return self._usable()
        source = Source(keep_outputs(self._model, {"purified"}), self.image_size, like=self._session)
        return backend.open(source, self.threads)

    def _usable(self) -> Session:
        session = self._session
        if session is None:
            raise UsageError(f"this pipeline of '{self._path}' is closed. Next: open it again, {self._opening}")
        if os.getpid() != self._process:  # its threads stayed behind: a call would hang
            raise BackendError(
                f"this pipeline of '{self._path}' was opened in process {self._process}, before the fork. "
                f"Next: open it in the process that uses it, {self._opening}"
            )
        return session

    @property
    def _opening(self) -> str:
        return f"Pipeline({str(self._path)!r})"

    def _run(self, session: Session, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        batch = check_images(images, self.image_size)
        rows = _rows_a_run(len(batch), session.images_a_run(self.image_size))
        starts = range(0, len(batch), rows)
        runs = [session.run(np.ascontiguousarray(batch[start : start + rows]), outputs) for start in starts]
        return runs[0] if len(runs) == 1 else [np.concatenate(arrays) for arrays in zip(*runs, strict=True)]


def _checked_threads(threads: object) -> int | None:
    """The number as Python's own; NumPy's are taken, and truth values, which Python counts as numbers, are not."""
    if threads is None:
        return None
    if not isinstance(threads, int | np.integer) or isinstance(threads, bool) or threads < 1:
        raise UsageError(
            f"threads must be a whole number above 0, or None, got {threads!r}. Next: threads=None takes one a core"
        )
    cores = os.cpu_count() or 1
    if threads > (most := max(_MOST_THREADS, _MOST_A_CORE * cores)):  # thousands stall the whole machine
        raise UsageError(
            f"threads is {threads}, and {most} are the most on a machine with {cores} cores. "
            "Next: threads=None takes one a core"
        )
    return int(threads)


def _rows_a_run(images: int, limit: int) -> int:
    """How many images to run at once: as few runs as the limit allows, and all of one size, or nearly."""
    return math.ceil(images / math.ceil(images / limit))
