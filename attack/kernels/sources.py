"""Which kernels there are, and how they are compiled: ahead of time by nvcc for GPUs, by g++ for the CPU."""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

from pixelproof.errors import PixelproofError

FOLDER = Path(__file__).parent

KERNELS = {
    "propose.cu": ("propose_candidates",),
    "remember.cu": ("forget_candidates", "find_candidates", "mark_new", "assign_rows", "share_fitness"),
    "draw.cu": ("place_images", "draw_candidates"),
    "select.cu": ("judge_rows", "select_children", "advance_lanes"),
}
"""Each file's kernels."""

CHUNK = 16
"""Bytes that a thread of `place_images` copies, as draw.cu has it."""

SHARE = 256
"""Children in a row that are counted together, as remember.cu has it."""

ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120", "compute_75")
"""Machine code (a cubin) for each `sm_`, and PTX, which a driver compiles, for `compute_75` and all that came after."""

# without contraction and flushing, float32 gives on a GPU what NumPy gives
SHARED_FLAGS = ("--fmad=false", "--ftz=false")
NVCC_FLAGS = (*SHARED_FLAGS, "-Werror", "all-warnings", "-Xptxas", "-v")
HOST_FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")

_PTXAS = re.compile(
    r"entry function '(?P<kernel>\w+)' for '(?P<architecture>\w+)'"
    r".*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers",
    re.DOTALL,
)


class Usage(NamedTuple):
    """What one kernel takes of one architecture, a thread."""

    kernel: str
    architecture: str
    registers: int
    spill_bytes: int
    """Stored to and loaded from local memory for want of registers."""


def compiled_name(source: str, architecture: str) -> str:
    """The file that `compile_all` writes: `propose.sm_90.cubin`, `propose.compute_75.ptx`."""
    ending = "cubin" if architecture.startswith("sm_") else "ptx"
    return f"{Path(source).stem}.{architecture}.{ending}"


def compile_all(
    folder: Path, *, architectures: Sequence[str] = ARCHITECTURES, sources: Path = FOLDER, compiler: str = "nvcc"
) -> list[Usage]:
    """Compile every kernel for every architecture, warnings being errors.

    Args:
        folder: where the files go (see `compiled_name`); made where it is missing.
        architectures: names as nvcc knows them, `sm_90` for a cubin, `compute_75` for PTX.
        sources: the folder that holds the files of `KERNELS`.
        compiler: nvcc, of CUDA 13.0 or later (earlier ones do not know all of these architectures).

    Returns:
        Each kernel's registers and spills on each `sm_` architecture, file by file.

    Raises:
        PixelproofError: nvcc is missing, or refuses a kernel; the message holds its words and the command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = list(product(KERNELS, architectures))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        usages = pool.map(lambda job: list(_compiled(compiler, sources, folder, *job)), jobs)
        return [usage for file in usages for usage in file]


def compile_one(source: str, architecture: str, compiler: str = "nvcc") -> bytes:
    """One file of `KERNELS` compiled by nvcc for one architecture; raises what `compile_all` does."""
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as folder:
        for _ in _compiled(compiler, FOLDER, Path(folder), source, architecture):
            pass
        return (Path(folder) / compiled_name(source, architecture)).read_bytes()


def host_command(source: Path, library: Path, compiler: str = "g++") -> list[str]:
    """The command that compiles a C++ file, as a rule `host.h` itself, to a library of the kernels for the CPU."""
    return [compiler, *HOST_FLAGS, f"-I{FOLDER}", "-x", "c++", str(source), "-o", str(library)]


def _compiled(compiler: str, sources: Path, folder: Path, source: str, architecture: str) -> Iterator[Usage]:
    kind = "--cubin" if architecture.startswith("sm_") else "--ptx"
    output = folder / compiled_name(source, architecture)
    command = [compiler, kind, f"-arch={architecture}", *NVCC_FLAGS, str(sources / source), "-o", str(output)]
    what = f"kernel {source} for {architecture}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PixelproofError(
            f"{what} needs {compiler}, which does not start ({error.strerror}). "
            "Next: install the CUDA toolkit, 13.0 or later, and put its bin folder on the PATH"
        ) from error
    said = done.stdout + done.stderr
    if done.returncode:
        raise PixelproofError(f"{what} does not compile: {said.strip()}. Next: {shlex.join(command)}")
    for match in _PTXAS.finditer(said):
        spilled = int(match["stores"]) + int(match["loads"])
        yield Usage(match["kernel"], match["architecture"], int(match["registers"]), spilled)
