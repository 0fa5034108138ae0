"""Which machine code a GPU gets, and where it comes from."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from pixelproof.attack.cuda import binaries
from pixelproof.attack.cuda.binaries import architecture_for, kernel_code
from pixelproof.attack.kernels.sources import ARCHITECTURES, KERNELS
from pixelproof.errors import BackendError, PixelproofError


@pytest.mark.parametrize(
    ("capability", "architecture"),
    [
        ((8, 0), "sm_80"),
        ((8, 6), "sm_86"),
        ((8, 7), "sm_86"),
        ((8, 9), "sm_89"),
        ((9, 0), "sm_90"),
        ((10, 3), "sm_100"),
        ((12, 1), "sm_120"),
        ((7, 5), "compute_75"),
        ((11, 0), "compute_75"),
        ((13, 0), "compute_75"),
    ],
)
def test_the_newest_code_of_a_gpus_generation_or_ptx(capability: tuple[int, int], architecture: str):
    assert architecture_for(capability) == architecture


def test_a_gpu_that_is_too_old_is_told_so():
    with pytest.raises(BackendError, match=r"compute capability 7\.0, and the kernels need 7\.5 or later"):
        architecture_for((7, 0))


def test_what_is_compiled_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(binaries, "_compiled", lambda *job: asked.append(job) or f"{job}".encode())
    first = kernel_code("sm_90", cache=tmp_path)
    assert first == {source: f"{(source, 'sm_90')}".encode() for source in KERNELS}
    assert kernel_code("sm_90", cache=tmp_path) == first
    assert asked == [(source, "sm_90") for source in KERNELS]
    monkeypatch.setattr(binaries, "_version", lambda: "another")  # as when a source has changed
    kernel_code("sm_90", cache=tmp_path)
    assert len(asked) == 2 * len(KERNELS)


def test_a_cache_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(binaries, "_compiled", lambda source, architecture: source.encode())
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert kernel_code("sm_80", cache=tmp_path / "cache") == {source: source.encode() for source in KERNELS}
    assert "cannot keep" in caplog.text


def test_with_no_compiler_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PixelproofError, match=r"needs nvcc, which does not start .* install the CUDA toolkit"):
        kernel_code("sm_90", cache=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_nvcc_compiles_at_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    found = kernel_code("sm_90", cache=tmp_path)
    assert all(code.startswith(b"\x7fELF") for code in found.values())


@pytest.mark.skipif(importlib.util.find_spec("cuda") is None, reason="cuda-bindings is not installed")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvrtc_compiles_every_kernel(architecture: str):
    for source in KERNELS:
        code = binaries.nvrtc(source, architecture)
        assert code.startswith(b"\x7fELF" if architecture.startswith("sm_") else b"//")
