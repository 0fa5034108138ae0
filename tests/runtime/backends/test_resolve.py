"""`auto` takes what works and says why not the others; a backend asked for by name runs or is an error."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from pixelproof.errors import BackendError, PixelproofError
from pixelproof.runtime import Pipeline, backends
from pixelproof.runtime.backends import BACKENDS, Backend, Source, fault, onnxruntime_cuda, open_session
from pixelproof.runtime.backends.onnxruntime_cuda import CUDA_PROVIDER, OnnxRuntimeCuda
from pixelproof.runtime.backends.onnxruntime_tensorrt import TENSORRT_PROVIDER

MakeBundle = Callable[..., Path]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What `auto` found is kept for the process."""
    for kept in (backends._kept_fault, backends._tell):
        kept.cache_clear()
    yield
    for kept in (backends._kept_fault, backends._tell):
        kept.cache_clear()


def echo(*, off: int = 0) -> Backend:
    """A backend that works on anything, as far as the check can tell; with `off` it gives back other values."""
    session = SimpleNamespace(run=lambda images, outputs: [images + off])
    return Backend("EchoExecutionProvider", lambda *_: session, lambda: backends._runs_identity("cuda"))


def test_auto_takes_the_cpu_where_there_is_no_gpu_and_says_why(make_bundle: MakeBundle, caplog):
    with caplog.at_level(logging.INFO, logger="pixelproof"), Pipeline(make_bundle()) as pipeline:
        assert pipeline.backend == "cpu"
    (line,) = caplog.messages
    assert line.startswith("backend cpu (tensorrt: running an engine needs tensorrt, which is not installed; ")
    assert "; cuda: running on CUDAExecutionProvider needs onnxruntime-gpu" in line
    caplog.clear()
    with Pipeline(make_bundle(name="other")) as pipeline:
        assert pipeline.backend == "cpu"
    assert caplog.messages == []  # once a process


def test_auto_takes_the_first_that_really_runs_a_graph(monkeypatch, caplog):
    identity = Source(backends._IDENTITY)
    monkeypatch.setitem(BACKENDS, "cuda", echo())
    with caplog.at_level(logging.INFO, logger="pixelproof"):
        assert open_session("auto", identity, 1)[0] == "cuda"
    assert [message.partition(" (")[0] for message in caplog.messages] == ["backend cuda"]
    backends._kept_fault.cache_clear()
    monkeypatch.setitem(BACKENDS, "cuda", echo(off=1))
    assert open_session("auto", identity, 1)[0] == "cpu"
    assert "gives back other values" in str(fault("cuda"))


def test_where_nothing_works_the_last_ones_error_is_raised(make_bundle: MakeBundle, monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "cuda", echo(off=1))
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(BackendError, match="refuses the graph: broken"):
        Pipeline(make_bundle())


def test_cuda_asked_for_by_name_is_an_error_without_its_wheel(make_bundle: MakeBundle):
    with pytest.raises(
        PixelproofError, match=r"running on CUDAExecutionProvider needs onnxruntime-gpu .*pixelproof\[gpu\]"
    ):
        Pipeline(make_bundle(), backend="cuda")


@pytest.fixture
def gpu_wheel(monkeypatch: pytest.MonkeyPatch):
    """ONNX Runtime as its GPU wheel has it; `runs` is the provider that a session then really takes."""
    made = SimpleNamespace(runs=CUDA_PROVIDER, asked=[], options=[])

    def session(model, options, *, providers, enable_fallback):
        assert not enable_fallback  # it would run on the CPU, in silence
        made.asked.append(providers)
        made.options.append(options.get_session_config_entry("session.disable_cpu_ep_fallback"))
        return SimpleNamespace(
            get_providers=lambda: [made.runs], get_inputs=list, get_outputs=list, run=lambda *_: [np.arange(3)]
        )

    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA_PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    return made


def test_no_node_may_fall_back_to_the_cpu(gpu_wheel):
    assert OnnxRuntimeCuda(b"", threads=None).provider == CUDA_PROVIDER
    assert gpu_wheel.asked == [[(CUDA_PROVIDER, {"use_tf32": "0", "enable_cuda_graph": "1"})]]
    assert gpu_wheel.options == ["1"]


def test_a_session_that_fell_back_is_an_error(gpu_wheel):
    gpu_wheel.runs = "CPUExecutionProvider"
    with pytest.raises(BackendError, match="asked ONNX Runtime for CUDAExecutionProvider, and it runs CPUExec"):
        OnnxRuntimeCuda(b"", threads=None)


@pytest.mark.parametrize(
    ("backend", "missing", "remedy"),
    [
        ("cuda", ["libcublas.so.13"], "pip install 'onnxruntime-gpu[cuda,cudnn]'"),
        ("cuda", ["libcublas.so.13", "libcuda.so.1"], "install NVIDIA's driver; nvidia-smi shows whether it works"),
        ("cuda", [], "pip install 'onnxruntime-gpu[cuda,cudnn]'"),  # cuDNN alone
        (
            "ort-tensorrt",
            ["libnvinfer.so.10", "libcudnn.so.9"],
            "pip install 'tensorrt>=10,<11', and name its folder tensorrt_libs in LD_LIBRARY_PATH",
        ),
    ],
)
def test_libraries_that_are_not_found_are_named_with_what_brings_them(
    gpu_wheel, monkeypatch, tmp_path: Path, backend: str, missing: list[str], remedy: str
):
    """ONNX Runtime itself prints that, and raises that nodes of the graph are left to the CPU."""
    kind = BACKENDS[backend].provider.removesuffix("ExecutionProvider").lower()
    library = tmp_path / "capi" / f"libonnxruntime_providers_{kind}.so"
    library.parent.mkdir()
    library.touch()
    monkeypatch.setattr("onnxruntime.__file__", str(tmp_path / "__init__.py"))
    available = [TENSORRT_PROVIDER, CUDA_PROVIDER, "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime_cuda, "missing_libraries", lambda path: missing if path == library else None)
    monkeypatch.setattr(onnxruntime_cuda, "loads", lambda name: False)
    with pytest.raises(BackendError) as told:
        BACKENDS[backend].open(Source(b"", (4, 6)), None)
    names = ", ".join(dict.fromkeys([*missing, "libcudnn.so.9"]))
    assert f"of onnxruntime-gpu {onnxruntime.__version__} needs {names}, which" in told.value.reason
    assert told.value.next_step == remedy
    assert gpu_wheel.asked == []  # no session was tried


def test_a_gpu_wheel_without_the_provider_is_told(monkeypatch):
    monkeypatch.setattr("pixelproof.runtime.backends.onnxruntime_cuda.installed_wheels", lambda: ["onnxruntime-gpu"])
    with pytest.raises(BackendError, match="comes without CUDAExecutionProvider"):
        OnnxRuntimeCuda(b"", threads=None)


def test_without_the_gpu_wheel_the_other_one_has_to_go_first(monkeypatch):
    """Beside each other the wheels overwrite each other's files, and nothing would run."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    for module in ("errors", "runtime.backends.onnxruntime_cpu", "runtime.backends.onnxruntime_cuda"):
        monkeypatch.setattr(f"pixelproof.{module}.installed_wheels", lambda: ["onnxruntime"])
    with pytest.raises(PixelproofError) as told:
        OnnxRuntimeCuda(b"", threads=None)
    assert str(told.value).endswith(". Next: pip uninstall -y onnxruntime && pip install 'pixelproof[gpu]'")


def test_the_tensorrt_provider_keeps_its_engines_and_knows_the_batches(monkeypatch, tmp_path: Path):
    asked = []
    available = [TENSORRT_PROVIDER, CUDA_PROVIDER, "CPUExecutionProvider"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: available)
    made = SimpleNamespace(get_providers=lambda: available, get_inputs=list, get_outputs=list)
    monkeypatch.setattr(
        "onnxruntime.InferenceSession",
        lambda model, options, providers, enable_fallback: asked.append(providers) or made,
    )
    session = BACKENDS["ort-tensorrt"].open(Source(b"", (4, 6)), None)
    assert (session.provider, session.images_a_run((224, 224))) == (TENSORRT_PROVIDER, 256)
    (provider, settings), (then, _) = asked[0]
    assert (provider, then) == (TENSORRT_PROVIDER, CUDA_PROVIDER)
    assert settings["trt_profile_max_shapes"] == "images:256x4x6x3"
    assert settings["trt_engine_cache_path"] == str(tmp_path / "pixelproof" / "onnxruntime-tensorrt")
