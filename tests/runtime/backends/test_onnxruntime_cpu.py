"""ONNX Runtime's CPU backend where ONNX Runtime is absent, broken, doubled or running something else."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from pixelproof.errors import BackendError, PixelproofError
from pixelproof.runtime import Pipeline
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu, installed_wheels

MakeBundle = Callable[..., Path]


def test_onnxruntime_not_installed(make_bundle: MakeBundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it fails as if it were not there
    with pytest.raises(PixelproofError, match=r"needs onnxruntime, .*pip install 'pixelproof\[cpu\]'"):
        Pipeline(make_bundle())


def install(folder: Path, name: str) -> None:
    """What pip leaves of a wheel's name."""
    told = folder / f"{name.replace('-', '_')}-1.31.0.dist-info" / "METADATA"
    told.parent.mkdir(parents=True)
    told.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.0\n")


def test_a_wheel_hides_the_other_that_an_environment_below_has(tmp_path: Path, monkeypatch):
    (known,) = installed_wheels()
    (other,) = {"onnxruntime", "onnxruntime-gpu"} - {known}
    install(tmp_path, other)
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_wheels() == [other]


def test_both_wheels_installed(make_bundle: MakeBundle, tmp_path: Path, monkeypatch):
    for name in ("onnxruntime", "onnxruntime-gpu"):
        install(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_wheels() == ["onnxruntime", "onnxruntime-gpu"]
    with pytest.raises(BackendError, match="are both installed") as told:
        Pipeline(make_bundle())
    remove = "pip uninstall -y onnxruntime onnxruntime-gpu"
    for_cpu, for_gpu = (f"{remove} && pip install 'pixelproof[{extra}]'" for extra in ("cpu", "gpu"))
    assert str(told.value).endswith(f"Next: {for_cpu}, or for an NVIDIA GPU: {for_gpu}")


def test_an_empty_folder_left_by_an_uninstalled_wheel(make_bundle: MakeBundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(BackendError, match=r"does not load.*pip install --force-reinstall onnxruntime"):
        Pipeline(make_bundle())


def test_a_gpu_wheel_that_does_not_load_is_the_one_to_install_again(make_bundle: MakeBundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    monkeypatch.setattr("pixelproof.runtime.backends.onnxruntime_cpu.installed_wheels", lambda: ["onnxruntime-gpu"])
    with pytest.raises(BackendError, match=r"pip install --force-reinstall onnxruntime-gpu$"):
        Pipeline(make_bundle())


def test_another_provider_than_the_one_asked_for(monkeypatch):
    session = SimpleNamespace(get_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: session)
    with pytest.raises(BackendError, match=r"asked ONNX Runtime for CPUExecutionProvider, and it runs CUDA"):
        OnnxRuntimeCpu(b"", threads=None)


def test_bytes_that_are_no_graph():
    with pytest.raises(BackendError, match=r"ONNX Runtime .* refuses the graph: .*Next: pixelproof doctor") as caught:
        OnnxRuntimeCpu(b"no graph", threads=None)
    assert "\n" not in str(caught.value)


def test_only_the_onnx_format_is_loaded():
    """ONNX Runtime would take its own format (which the bundle's check cannot read) by its mark alone."""
    with pytest.raises(BackendError, match=r"(?i)protobuf"):
        OnnxRuntimeCpu(b"\x10\0\0\0ORTM" + b"\0" * 64, threads=None)


def test_the_number_of_threads_is_passed_on(make_bundle: MakeBundle):
    model = (make_bundle() / "classifier.onnx").read_bytes()
    session = OnnxRuntimeCpu(model, threads=1)
    assert session._session.get_session_options().intra_op_num_threads == 1
    probabilities = session.run(np.zeros((2, 4, 6, 3), np.uint8), ["probabilities"])[0]
    np.testing.assert_allclose(probabilities, 1 / 3, atol=1e-6)


@pytest.mark.parametrize(
    ("version", "entry"),
    [
        ("1.20.0", ("session.intra_op.allow_spinning", "0")),
        ("1.25.1", ("session.intra_op.allow_spinning", "0")),
        ("1.26.0", ("session.intra_op.spin_duration_us", "10")),
        ("2.0.0.dev20270101", ("session.intra_op.spin_duration_us", "10")),
    ],
)
def test_idle_threads_spin_briefly_where_onnxruntime_can_bound_it(
    version: str, entry: tuple[str, str], make_bundle: MakeBundle, monkeypatch
):
    """A version that does not know the bound would ignore it, and spin for milliseconds."""
    monkeypatch.setattr("onnxruntime.__version__", version)
    session = OnnxRuntimeCpu((make_bundle() / "classifier.onnx").read_bytes(), threads=2)
    assert session._session.get_session_options().get_session_config_entry(entry[0]) == entry[1]
