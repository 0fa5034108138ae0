"""nvcc takes every kernel for every architecture; what it says of one that it refuses reaches the user."""

import re
import shutil
from itertools import product

import pytest

from pixelproof.attack.kernels import sources
from pixelproof.errors import PixelproofError

needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed: it compiles the kernels")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled") / "new"
    return folder, sources.compile_all(folder)


@needs_nvcc
def test_every_kernel_compiles_for_every_architecture_without_a_spill(compiled):
    folder, usages = compiled
    machines = [name for name in sources.ARCHITECTURES if name.startswith("sm_")]
    kernels = [kernel for names in sources.KERNELS.values() for kernel in names]
    assert {(usage.kernel, usage.architecture) for usage in usages} == set(product(kernels, machines))
    assert [usage for usage in usages if usage.spill_bytes or not 0 < usage.registers <= 64] == []
    names = {sources.compiled_name(*pair) for pair in product(sources.KERNELS, sources.ARCHITECTURES)}
    assert {path.name for path in folder.iterdir()} == names


def test_numbers_that_both_sides_know_are_the_same():
    for name, source in (("CHUNK", "draw.cu"), ("SHARE", "remember.cu")):
        assert f"#define {name} {getattr(sources, name)} " in (sources.FOLDER / source).read_text()


@needs_nvcc
def test_no_product_is_contracted_into_a_sum(compiled):
    folder, _ = compiled
    text = (folder / sources.compiled_name("propose.cu", "compute_75")).read_text()
    for step in ("sub", "mul", "add"):
        assert f"{step}.rn.f32" in text  # each rounded for itself, which ptxas may not undo
    assert re.findall(r"\b(?:fma|mad)\S*\.f32|\.ftz\b", text) == []


@needs_nvcc
def test_a_refused_kernel_is_named_with_the_compilers_words_and_the_command(tmp_path):
    for path in sources.FOLDER.glob("*.cu*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "draw.cu").write_text("__global__ void broken() { int unused; }")
    with pytest.raises(PixelproofError) as refused:
        sources.compile_all(tmp_path / "out", architectures=["sm_90"], sources=tmp_path)
    message = str(refused.value)
    assert message.startswith("kernel draw.cu for sm_90 does not compile: ")
    assert "unused" in message
    assert re.search(r"Next: nvcc --cubin -arch=sm_90 .*draw\.cu", message)


def test_without_nvcc_the_error_says_what_to_install(tmp_path):
    with pytest.raises(PixelproofError, match=r"propose\.cu for sm_80 needs no-nvcc.*Next: install the CUDA toolkit"):
        sources.compile_all(tmp_path, architectures=["sm_80"], compiler="no-nvcc")


def test_what_ptxas_says_is_read_kernel_by_kernel(tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text(
        "#!/bin/sh\ncat <<EOF\n"
        "ptxas info    : Compiling entry function 'one' for 'sm_90'\n"
        "    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads\n"
        "ptxas info    : Used 255 registers, used 0 barriers\n"
        "ptxas info    : Compiling entry function 'two' for 'sm_90'\n"
        "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Used 7 registers, used 0 barriers\n"
        "EOF\n"
    )
    compiler.chmod(0o755)
    usages = sources.compile_all(tmp_path, architectures=["sm_90"], compiler=str(compiler))
    assert usages == [("one", "sm_90", 255, 28), ("two", "sm_90", 7, 0)] * len(sources.KERNELS)


def test_the_files_and_the_kernels_in_them_are_those_that_are_named():
    assert {path.name for path in sources.FOLDER.glob("*.cu")} == set(sources.KERNELS)
    for source, kernels in sources.KERNELS.items():
        text = (sources.FOLDER / source).read_text()
        assert tuple(re.findall(r'extern "C" __global__ void (\w+)\(', text)) == kernels
        assert not {"__syncthreads", "__shared__", "__expf", "double"} & set(re.findall(r"\w+", text))
