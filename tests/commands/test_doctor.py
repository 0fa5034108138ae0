"""`pixelproof doctor` on this machine, and on machines where something is missing."""

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pixelproof.commands import doctor
from pixelproof.errors import BackendError
from pixelproof.runtime.backends import BACKENDS


def findings(out: str) -> dict[str, dict[str, str]]:
    return {finding["subject"]: finding for finding in json.loads(out)["findings"]}


def test_where_bundles_run_it_says_so(run_cli):
    code, out, _ = run_cli("doctor", "--json")
    assert code == 0
    assert json.loads(out)["runs_bundles"] is True
    found = findings(out)
    assert found["bundles on the CPU"]["found"] == "a session ran on CPUExecutionProvider"
    assert importlib.metadata.version("onnxruntime") in found["ONNX Runtime"]["found"]
    assert found["extra 'cpu'"]["state"] == "ok"
    assert found["Python"]["found"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert {"machine", "PyTorch", "NVIDIA driver", "CUDA toolkit", "CIFAR-10", "weights of 'lenet'"} <= found.keys()
    assert all(finding["remedy"] for finding in found.values() if finding["state"] != "ok")


def test_without_onnxruntime_it_fails_with_the_command(run_cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, _ = run_cli("doctor")
    assert code == 1
    assert "bundles do not run on this machine's CPU" in out
    assert "bundles on the CPU" in out.partition("to mend or add:")[2]
    assert "pip install 'pixelproof[cpu]'" in out


@pytest.mark.parametrize(
    ("name", "subject", "remedy"),
    [
        ("cuda", "backend 'cuda'", "nvidia-smi shows whether the GPU works"),
        ("cpu", "bundles on the CPU", "pip install --force-reinstall onnxruntime"),
    ],
)
def test_it_does_not_send_the_user_to_itself(run_cli, monkeypatch, name: str, subject: str, remedy: str):
    def check():
        raise BackendError("ONNX Runtime refuses the graph: no device. Next: pixelproof doctor")

    monkeypatch.setitem(BACKENDS, name, replace(BACKENDS[name], check=check))
    found = findings(run_cli("doctor", "--json").out)[subject]
    assert (found["found"], found["remedy"]) == ("ONNX Runtime refuses the graph: no device", remedy)


def test_both_wheels_are_found(run_cli, installed):
    installed("1.31.1", "onnxruntime", "onnxruntime-gpu")
    code, out, _ = run_cli("doctor", "--json")
    assert code == 1
    clash = findings(out)["bundles on the CPU"]
    assert clash["state"] == "broken"
    remove = "pip uninstall -y onnxruntime onnxruntime-gpu"
    assert clash["remedy"].startswith(f"{remove} && pip install 'pixelproof[cpu]', or for an NVIDIA GPU: ")
    assert clash["remedy"].endswith(f"{remove} && pip install 'pixelproof[gpu]'")


def test_what_a_gpu_needs_is_the_same_command_in_every_line(run_cli, monkeypatch):
    for module in ("errors", "runtime.backends.onnxruntime_cpu", "runtime.backends.onnxruntime_cuda"):
        monkeypatch.setattr(f"pixelproof.{module}.installed_wheels", lambda: ["onnxruntime"])
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    found = findings(run_cli("doctor", "--json").out)
    remedies = {finding["remedy"] for finding in found.values() if "[gpu]" in finding["remedy"]}
    assert remedies == {"pip uninstall -y onnxruntime && pip install 'pixelproof[gpu]'"}
    assert all(
        found[name]["remedy"] in remedies for name in ("backend 'cuda'", "backend 'ort-tensorrt'", "extra 'gpu'")
    )
    assert found["extra 'report'"]["remedy"] == "pip install 'pixelproof[report]'"  # --upgrade would ask the index


@pytest.mark.parametrize(
    ("version", "fits", "text"),
    [("1.19.2", False, "own 1.19.2 (needs 1.20)"), ("1.20", True, "own 1.20"), ("2.13.0+cpu", True, "own 2.13.0+cpu")],
)
def test_a_version_too_old_is_named(installed, version: str, fits: bool, text: str):
    installed(version, "own")
    assert doctor._package("own", ">=1.20,<9") == (fits, text)
    assert doctor._package("other", ">=1.20") == (False, "no other")


def test_the_data_set_is_found_where_the_environment_says(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PIXELPROOF_DATA", str(tmp_path))
    assert doctor._data_set().remedy == "pixelproof data fetch"
    (tmp_path / "test_batch.bin").write_bytes(b"")
    assert doctor._data_set() == doctor.Finding("CIFAR-10", "ok", str(tmp_path))


def test_damaged_weights_come_back_by_the_command(monkeypatch, tmp_path: Path):
    weights = tmp_path / "models" / "weights" / "lenet.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"whole")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "weights"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    weights.unlink()
    monkeypatch.setattr("pixelproof.models.weights_path", lambda name: weights if name == "lenet" else None)
    monkeypatch.setattr("pixelproof.models.provenance", lambda name: {"weights_sha256": "0" * 64})
    (finding,) = doctor._weights()
    assert (finding.state, finding.found) == ("broken", f"no file '{weights}'")
    where, _, command = finding.remedy.partition(", ")
    restore, _, install = command.partition(" && ")
    assert (where, install) == ("in pixelproof's clone", "pip install --force-reinstall --no-deps .")
    subprocess.run(["bash", "-c", restore], cwd=tmp_path, check=True)
    assert weights.read_bytes() == b"whole"
    (finding,) = doctor._weights()  # of another hash than its provenance has
    assert (finding.state, bool(finding.remedy)) == ("broken", True)


class Driver:
    """A stand-in for libcuda.so.1 with one GPU, whose cuInit answers `code`."""

    def __init__(self, code: int) -> None:
        self.code = code

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.code

    def cuDriverGetVersion(self, version) -> int:  # noqa: N802
        version._obj.value = 13010
        return 0

    def cuDeviceGetCount(self, count) -> int:  # noqa: N802
        count._obj.value = 1
        return 0

    def cuDeviceGetName(self, name, length: int, device: int) -> int:  # noqa: N802
        name.value = b"NVIDIA H200"
        return 0


@pytest.mark.parametrize(
    ("code", "state", "found"),
    [(0, "ok", "supports CUDA 13.1: NVIDIA H200"), (34, "broken", "libcuda.so.1 loads, but CUDA reports error 34")],
)
def test_a_driver_is_asked_for_its_gpus(monkeypatch, code: int, state: str, found: str):
    monkeypatch.setattr("ctypes.CDLL", lambda name: Driver(code))
    finding = doctor.nvidia_driver()
    assert (finding.state, finding.found) == (state, found)


def test_a_toolkit_is_asked_for_its_version(monkeypatch, tmp_path: Path):
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.48'\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.cuda_toolkit() == doctor.Finding("CUDA toolkit", "ok", f"13.0 ({nvcc})")
