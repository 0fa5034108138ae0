"""On a real GPU: every backend that is installed gives what ONNX Runtime gives on the CPU."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.backends import BACKENDS, fault

pytestmark = pytest.mark.gpu

ENGINES = ("tensorrt", "tensorrt-rtx")
IMAGES = np.concatenate([np.roll(sample().images, shift, axis=2) for shift in range(5)])  # 1,000
FUZZED = 1000


@pytest.fixture(scope="module", params=[name for name in BACKENDS if name != "cpu"])
def deployed(request, tmp_path_factory) -> tuple[str, Path]:
    """A backend that works here, and LeNet behind the gated purifier for it."""
    from pixelproof.export import export_bundle
    from pixelproof.export.engines import build_engine

    backend = request.param
    if why := fault(backend):
        pytest.skip(str(why).partition(". Next: ")[0])
    folder = tmp_path_factory.mktemp("deployed") / backend
    export_bundle("lenet", folder)
    if backend in ENGINES:
        build_engine(folder, flavor=backend, profile=(1, 64, 256))
    return backend, folder


def test_1000_images_are_read_as_on_the_cpu(deployed):
    backend, bundle = deployed
    with Pipeline(bundle, backend=backend) as pipeline, Pipeline(bundle, backend="cpu") as reference:
        found, expected = pipeline(IMAGES), reference(IMAGES)
    assert len(IMAGES) == 1000
    assert (found.labels == expected.labels).mean() >= 0.999
    assert np.abs(found.probabilities - expected.probabilities).mean() < 1e-4
    changed = (found.purified != expected.purified).any(axis=3)
    assert changed.mean() < 1e-4  # a prediction halfway between two levels may round to either


@pytest.mark.parametrize("count", [1, 3, 64])
def test_different_images_in_a_row_through_one_recording(deployed, count: int):
    backend, bundle = deployed
    with Pipeline(bundle, backend=backend) as pipeline, Pipeline(bundle, backend="cpu") as reference:
        for turn in range(5):
            images = IMAGES[turn * count :][:count]
            np.testing.assert_allclose(pipeline.predict(images), reference.predict(images), atol=2e-3)


def test_eight_threads_at_once_get_their_own_answers(deployed):
    backend, bundle = deployed
    batches = [IMAGES[start : start + 8] for start in range(0, 512, 8)]
    with Pipeline(bundle, backend=backend) as pipeline:
        expected = [pipeline(batch) for batch in batches]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(pipeline, batches))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.purified, other.purified)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def test_a_calls_arrays_are_its_own(deployed):
    backend, bundle = deployed
    with Pipeline(bundle, backend=backend) as pipeline:
        for turn in range(3):  # from the second on through a recording
            kept = pipeline(IMAGES[turn : turn + 4])
            before = kept.purified.copy()
            pipeline(IMAGES[50:54])
            np.testing.assert_array_equal(kept.purified, before)


def test_pytorch_before_and_after_in_one_process(deployed):
    backend, bundle = deployed
    program = f"""
import torch
before = torch.ones(1000, device="cuda").sum().item()
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline
with Pipeline({str(bundle)!r}, backend={backend!r}) as pipeline:
    first = pipeline(sample().images[:8]).labels
    between = torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8, device="cuda"), torch.ones(2, 3, 3, 3, device="cuda"))
    assert (pipeline(sample().images[:8]).labels == first).all()
after = (torch.arange(10, device="cuda") * 2).sum().item()
assert (before, between.sum().item(), after) == (1000, 2 * 36 * 27, 90)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if "AssertionError: Torch not compiled with CUDA" in done.stderr:
        pytest.skip("this PyTorch has no CUDA")
    assert done.returncode == 0, done.stderr


def test_an_engine_with_a_tampered_sidecar_is_built_again(deployed, tmp_path: Path):
    from pixelproof.errors import BackendError
    from pixelproof.export.engines import rebuild_engines

    backend, bundle = deployed
    if backend not in ENGINES:
        pytest.skip("it runs no engine")
    shutil.copytree(bundle, tmp_path / "bundle")
    (sidecar,) = (tmp_path / "bundle" / "engines").glob("*.json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "version": "1.2.3"}))
    with pytest.raises(BackendError, match=r"TensorRT version: built with '1\.2\.3'"):
        Pipeline(tmp_path / "bundle", backend=backend)
    assert len(rebuild_engines(tmp_path / "bundle")) == 1
    with Pipeline(tmp_path / "bundle", backend=backend) as pipeline:
        assert len(pipeline(IMAGES[:3]).labels) == 3


def test_damaged_engines_are_refused_without_their_hashes_too(deployed):
    """In another process: what TensorRT itself says to bytes that nothing was compared with."""
    backend, bundle = deployed
    if backend not in ENGINES:
        pytest.skip("it runs no engine")
    (engine,) = (bundle / "engines").glob("*.engine")
    program = f"""
import random
from pathlib import Path
from pixelproof.gpu import open_gpu
from pixelproof.runtime.distributions import listener, open_distribution
whole, draw, refused = Path({str(engine)!r}).read_bytes(), random.Random(0), 0
trt = open_distribution({backend!r}, purpose="running").trt
with open_gpu(purpose="fuzzing", instead="nothing").current():
    runtime = trt.Runtime(listener(trt).logger)
    for turn in range({FUZZED}):
        at = draw.randrange(len(whole))
        kind = turn % 3
        if kind == 0:
            content = whole[:at]
        elif kind == 1:
            content = whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]
        else:
            content = draw.randbytes(1 + at % 65536)
        refused += runtime.deserialize_cuda_engine(content) is None
print(refused)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= FUZZED * 2 // 3 - 1  # a flipped bit may be a weight's
