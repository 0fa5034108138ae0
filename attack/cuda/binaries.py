"""The kernels' machine code for one GPU, compiled at first use and kept in the user's cache."""

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from pixelproof.attack.kernels.sources import (
    ARCHITECTURES,
    FOLDER,
    KERNELS,
    NVCC_FLAGS,
    SHARED_FLAGS,
    compile_one,
    compiled_name,
)
from pixelproof.errors import BackendError, PixelproofError, install_command
from pixelproof.files import cached, keep, user_cache

_PTX = "compute_75"


def architecture_for(capability: tuple[int, int]) -> str:
    """What runs on a GPU of this compute capability: the newest machine code of its generation, else PTX.

    Raises:
        BackendError: the GPU is older than all of `ARCHITECTURES`.
    """
    major, minor = capability
    same = [name for name in ARCHITECTURES if name.startswith("sm_") and int(name[3:-1]) == major]
    fitting = [name for name in same if int(name[-1]) <= minor]
    if fitting:
        return max(fitting, key=lambda name: int(name[-1]))
    if capability >= (7, 5):
        return _PTX
    raise BackendError(
        f"this GPU has compute capability {major}.{minor}, and the kernels need 7.5 or later. "
        "Next: --attack-backend cpu"
    )


def kernel_code(architecture: str, *, cache: Path | None = None) -> dict[str, bytes]:
    """Each source file's cubin or PTX for one of `ARCHITECTURES`, by the file's name.

    Args:
        architecture: see `architecture_for`.
        cache: where what has to be compiled is kept; the user's cache where None.

    Raises:
        PixelproofError: neither NVRTC nor nvcc is there to compile it.
    """
    folder = (cache or user_cache() / "kernels") / _version()
    found = {}
    for source in KERNELS:
        path = folder / compiled_name(source, architecture)
        code = cached(path)
        if code is None:
            code = _compiled(source, architecture)
            keep(path, code)
        found[source] = code
    return found


def _version() -> str:
    """Changes with the sources and with how they are compiled."""
    files = sorted([*FOLDER.glob("*.cu"), *FOLDER.glob("*.cuh")])
    content = b"\0".join([*(path.read_bytes() for path in files), *(flag.encode() for flag in NVCC_FLAGS)])
    return hashlib.sha256(content).hexdigest()[:16]


def _compiled(source: str, architecture: str) -> bytes:
    if importlib.util.find_spec("cuda") and importlib.util.find_spec("cuda.bindings"):
        return nvrtc(source, architecture)
    return compile_one(source, architecture)


def nvrtc(source: str, architecture: str) -> bytes:
    """A source file compiled by NVRTC, which needs no toolkit and no driver; `PixelproofError` where it is refused."""
    library = importlib.import_module("cuda.bindings.nvrtc")

    def call(name: str, *arguments: Any) -> Any:  # noqa: ANN401  (NVRTC's handles)
        status, *answer = getattr(library, f"nvrtc{name}")(*arguments)
        if status != library.nvrtcResult.NVRTC_SUCCESS:
            _, said = library.nvrtcGetErrorString(status)
            log = _log(library, arguments[0]) if name == "CompileProgram" else ""
            raise PixelproofError(
                f"NVRTC cannot compile kernel {source} for {architecture}: {said.decode()}. {log}"
                "Next: pip install 'nvidia-cuda-nvrtc>=13.0,<13.1'"
            )
        return answer[0] if answer else None

    try:
        program = call("CreateProgram", (FOLDER / source).read_bytes(), source.encode(), 0, [], [])
    except (ImportError, OSError, RuntimeError) as error:  # its library is loaded by the first call
        raise PixelproofError(
            f"compiling kernel {source} needs NVRTC, which does not load: {error}. Next: {install_command('gpu')}"
        ) from error
    options = [f"--gpu-architecture={architecture}", f"-I{FOLDER}", *SHARED_FLAGS]
    call("CompileProgram", program, len(options), [option.encode() for option in options])
    kind = "CUBIN" if architecture.startswith("sm_") else "PTX"
    code = bytes(call(f"Get{kind}Size", program))  # filled in by the next call
    call(f"Get{kind}", program, code)
    call("DestroyProgram", program)
    return code


def _log(library: ModuleType, program: object) -> str:
    _, size = library.nvrtcGetProgramLogSize(program)
    log = bytes(size)
    library.nvrtcGetProgramLog(program, log)
    return f"{log.decode(errors='replace').strip(chr(0)).strip()} "
