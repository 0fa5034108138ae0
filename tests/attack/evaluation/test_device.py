"""`--attack-backend`: who runs the attack, and what is said where it cannot."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.evaluation import Settings, searches, victims
from pixelproof.attack.evaluation.attack_run import attack_bundle
from pixelproof.attack.evaluation.device import open_attack_device, ran_on
from pixelproof.errors import BackendError, PixelproofError, UsageError
from pixelproof.runtime import Pipeline

GPU = SimpleNamespace(name="Stand-in GPU")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise BackendError("no GPU here")

    monkeypatch.setattr("pixelproof.attack.cuda.open_device", refuse)


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelproof.attack.cuda.open_device", lambda: nullcontext(GPU))


@pytest.mark.parametrize(
    ("asked", "method", "there"),
    [
        ("auto", "de", True),
        ("auto", "strongest", True),
        ("cuda", "de", True),
        ("auto", "corners", False),
        ("cuda", "corners", True),
        ("cpu", "de", False),
    ],
)
def test_a_gpu_that_is_there_is_taken_where_it_is_wanted(a_gpu, asked: str, method: str, there: bool):
    with open_attack_device(asked, method) as device:
        assert (device is GPU) == there


def test_auto_leaves_what_nothing_ran_on_the_gpu_to_the_cpu(a_gpu, stand_in: Path, lenet_median_bundle: Path):
    for bundles, there in (
        ([stand_in], False),
        ([lenet_median_bundle], True),
        ([lenet_median_bundle, stand_in], False),
    ):
        with open_attack_device("auto", "de", bundles) as device:
            assert (device is GPU) == there
    with open_attack_device("cuda", "de", [stand_in]) as device:  # refused when the attack begins, by name
        assert device is GPU


def test_auto_does_without_a_gpu_and_cuda_does_not(no_gpu):
    with open_attack_device("auto", "de") as device:
        assert device is None
    with pytest.raises(PixelproofError, match="no GPU here"):
        open_attack_device("cuda", "de")


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match=r"unknown attack backend 'gpu'; .*auto, cpu, cuda"):
        open_attack_device("gpu", "de")
    with pytest.raises(UsageError, match=r"corners of 3 pixels does not run on CUDA: .* Next: --attack-backend cpu"):
        open_attack_device("cuda", "corners", pixels=3)
    with pytest.raises(UsageError, match=r"--cascade bf16 runs on the CPU, .* Next: leave out --cascade"):
        open_attack_device("cuda", "corners", cascade="bf16")


def test_a_cascade_leaves_the_gpu_alone(a_gpu):
    with open_attack_device("auto", "strongest", cascade="bf16") as device:
        assert device is None


@pytest.mark.parametrize("protocol", ["transfer", "adaptive"])
def test_de_ran_on_the_device_with_the_same_settings(
    lenet_median_bundle: Path, some_real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
):
    """The device's search is asked for what the CPU's is; here the CPU answers in its place."""
    asked = []

    def stand_in(device, network, images, labels, **settings):
        asked.append((device, network, settings["pixels"], settings["seed"], settings["generations"]))
        assert settings.pop("exact")(images).argmax(1).tolist() == labels.tolist()
        return attack(victim[-1].predict, images, labels, method="de", **settings, batch_size=256)

    victim = []
    monkeypatch.setattr("pixelproof.attack.cuda.attack_on_device", stand_in)
    real = searches._attack
    monkeypatch.setattr(searches, "_attack", lambda plan, it, *more: victim.append(it) or real(plan, it, *more))
    numbers = []
    monkeypatch.setattr(
        victims,
        "device_network",
        lambda deployed, purifier, classifier, candidates: numbers.append(candidates) or (classifier and "network"),
    )
    settings = Settings(method="de", images=3, pixels=2, seed=5, generations=3)
    records = tmp_path / "records"
    run = attack_bundle(lenet_median_bundle, some_real, settings, protocol=protocol, records=records, device=GPU)
    searched = 1 if protocol == "transfer" else 2  # the adaptive attacker tries what fooled the bare classifier too
    assert asked == [(GPU, "network", 2, 5, 3)] * searched
    assert run.summary["attack_backend"] == "cuda (Stand-in GPU)"
    assert ran_on("de", GPU) == "de ran on Stand-in GPU, in CUDA kernels"
    assert (ran_on("strongest", None), ran_on("corners", None)) == ("de ran on the CPU", "")
    assert ran_on("corners", GPU) == "corners of one pixel was screened on Stand-in GPU, in half precision"
    assert len(run.images) == 3
    more = replace(settings, images=5)
    attack_bundle(lenet_median_bundle, some_real, more, protocol=protocol, records=records, device=GPU)
    # of all that are asked for, not of those that are left: a run that goes on has the same network
    assert numbers == [3 * 400 * 4] * searched + [5 * 400 * 4] * searched
    asked.clear()
    monkeypatch.setattr(searches, "attack", lambda *arguments, **more: on_cpu.append(1) or attack(*arguments, **more))
    on_cpu: list[int] = []
    attack_bundle(lenet_median_bundle, some_real, settings, protocol=protocol, records=records, device=GPU)
    assert (asked, on_cpu) == ([], [])  # kept
    attack_bundle(lenet_median_bundle, some_real, settings, protocol=protocol, records=records)
    assert (asked, on_cpu) == ([], [1] * searched)  # what was found there does not speak for the CPU


@pytest.mark.parametrize("protocol", ["transfer", "adaptive"])
def test_sweeps_are_screened_on_the_device(
    lenet_median_bundle: Path, some_real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
):
    """A network on the device that is wrong by some thousandths: the same is found, and nothing claims exhaustion."""
    part = "classifier" if protocol == "transfer" else "pipeline"
    shown = []

    class Rounded:
        rows = 640

        def __init__(self, device, network, size, rows):
            assert (device, network, size) == (GPU, "network", (32, 32))
            self.pipeline = Pipeline(lenet_median_bundle, part=part)

        def __call__(self, images):
            shown.append(len(images))
            return self.pipeline.predict(images).astype(np.float16).astype(np.float32)

    monkeypatch.setattr("pixelproof.attack.cuda.DevicePredict", Rounded)
    monkeypatch.setattr(
        victims, "device_network", lambda deployed, purifier, classifier, candidates: classifier and "network"
    )
    asked = {"protocol": protocol, "records": tmp_path / "records"}
    expected = attack_bundle(lenet_median_bundle, some_real, Settings(images=3), **asked)
    run = attack_bundle(lenet_median_bundle, some_real, Settings(images=3), **asked, device=GPU)
    assert set(shown) == {640}
    for mine, right in zip(run.images, expected.images, strict=True):
        assert {name: mine[name] for name in ("success", "pixels", "colours")} == {
            name: right[name] for name in ("success", "pixels", "colours")
        }
        assert not mine["exhausted"]
    assert any(each["exhausted"] for each in expected.images)


@pytest.mark.gpu
@pytest.mark.parametrize("protocol", ["transfer", "adaptive"])
def test_a_gpu_screens_without_loss(lenet_median_bundle: Path, some_real, tmp_path: Path, protocol: str):
    asked = {"protocol": protocol, "records": tmp_path / "records"}
    expected = attack_bundle(lenet_median_bundle, some_real, Settings(images=10), **asked)
    with open_attack_device("cuda", "corners") as device:
        run = attack_bundle(lenet_median_bundle, some_real, Settings(images=10), **asked, device=device)
    for mine, right in zip(run.images, expected.images, strict=True):
        assert (mine["success"], mine["pixels"]) == (right["success"], right["pixels"])


def test_a_network_of_ones_own_needs_onnx_runtime_there(run_attack):
    with pytest.raises(BackendError, match=r"no network runs on the GPU: .* ONNX Runtime: running on CUDAExecution"):
        run_attack(method="de", device=GPU)
