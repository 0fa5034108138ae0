"""What is timed where there is a GPU, on one that is not there."""

import numpy as np
import pytest
from tensorrt_stand_in import add_engine

from pixelproof.benchmarks.latency import bench_latency
from pixelproof.benchmarks.latency_ways import ON_GPU, Absent, Setting, gpu_here
from pixelproof.runtime import read_bundle


def test_engines_are_timed_with_and_without_recordings(trt, make_bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelproof.benchmarks.latency_ways.peak_memory", lambda *_: {})
    bundle = make_bundle()
    add_engine(bundle)
    results = bench_latency(bundle, batches=[3], rounds=4)
    names = [row.name for row in results.rows]
    assert names[-2:] == ["TensorRT engine, CUDA graph", "TensorRT engine, no CUDA graph"]
    assert {row.provider for row in results.rows[-2:]} == {"tensorrt 10.16.1"}
    assert results.notes[0].startswith("GPU: ")
    notes = " ".join(results.notes)
    assert "Not timed: cuda recorded, because running on CUDAExecutionProvider needs onnxruntime-gpu" in notes
    # the stand-in's clock counts calls: one copy there, one launch, four outputs back
    assert (
        "TensorRT engine, no CUDA graph, batch 3, its parts by the GPU's clock: 1.000 ms to copy it to the GPU, 1.000"
        in notes
    )


def test_a_bundle_without_engines_says_so(trt, make_bundle):
    bundle = make_bundle()
    setting = Setting(bundle, read_bundle(bundle).manifest, "auto", None)
    with pytest.raises(Absent, match="has no tensorrt engine of its pipeline; "), ON_GPU[2](setting):
        pass


def test_without_a_gpu_none_is_tried(make_bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert gpu_here() is None
    results = bench_latency(make_bundle(), batches=[1], rounds=1)
    assert not any("TensorRT" in row.name for row in results.rows)
    assert not any("cuda" in note for note in results.notes)
    assert np.isfinite([row.p50_ms for row in results.rows]).all()
