"""`make gpu`: all that needs a GPU, in slices of time; run it again until nothing is left.

It starts with the standard library alone, and makes an environment over the system's packages, which hold PyTorch with
CUDA. Each part has a log of its name; what is done with the code of now is not done again.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MODULES = ["typer", "rich", "PIL", "onnx", "onnxscript", "safetensors", "jinja2", "pytest", "skimage"]
_PACKAGES = {"PIL": "pillow", "skimage": "scikit-image"}  # by module, where the two differ
_CUDA = ("cuda-bindings>=13.0,<14", "nvidia-cuda-nvrtc>=13.0,<13.1")
_SEE_PARENT = """
import sys, sysconfig, pathlib
if sys.argv[1] not in sys.path:
    pathlib.Path(sysconfig.get_path("purelib"), "parent.pth").write_text(sys.argv[1])
"""
"""Where this runs in a virtual environment, its packages are not the system's: the new one is pointed to them."""
_COPY_ADVERSARIAL = """
import shutil, sys
from pixelproof.models.data.adversarial import ADVERSARIAL
from pixelproof.models.data.sample import SAMPLE_FOLDER
shutil.copy(SAMPLE_FOLDER / ADVERSARIAL, sys.argv[1])
"""
_LIMIT_S, _ENVIRONMENT_S, _GRACE_S = 240.0, 420.0, 10.0


@dataclass(frozen=True)
class Part:
    """One thing to run: commands, of which the first that fails ends it.

    `needs` names the parts that have to be done before; `leaves` is a file without which it is done again, as on
    another machine; `without` says why it is skipped; what takes longer than `limit_s` has failed, and leaves the rest
    of the slice to others (infinite for what goes on where it stopped).
    """

    name: str
    commands: Sequence[Sequence[str]]
    needs: Sequence[str] = ()
    leaves: Path | None = None
    without: str = ""
    limit_s: float = _LIMIT_S
    code: str | None = None
    """A hash of what it depends on, with another of which it is done again; None: the one of all code."""


def all_parts(folder: Path, wheels: Path | None, data: Path | None) -> list[Part]:
    """The parts whose files go into `folder`, short ones first.

    Args:
        folder: of logs, bundles and results.
        wheels: packages for a machine without network; None: they come from the index.
        data: CIFAR-10; None leaves the training out, and measures defenses on the 200 shipped images.
    """
    python = str(folder / "venv" / "bin" / "python")
    cli = [python, "-m", "pixelproof"]
    networks = classifiers()
    chosen = ["--data", str(data)] if data else ["--sample"]
    root = toolkit()
    sanitizer = shutil.which("compute-sanitizer") or shutil.which(str((root or Path()) / "bin" / "compute-sanitizer"))
    watched = [python, "-m", "pixelproof.benchmarks.gpu_sanitized"]
    # cuda-bindings asks the driver for functions that it may not have, which memcheck would call errors
    tools = (["memcheck", "--report-api-errors", "no"], ["initcheck"])
    tests = [python, "-m", "pytest", "-m", "gpu", "-rs", "-q", "-p", "no:cacheprovider"]
    provider = _has_onnxruntime_gpu(wheels) or any(map(importlib.util.find_spec, ("tensorrt", "tensorrt_rtx")))
    no_provider = "" if provider else "no ONNX Runtime for a GPU and no TensorRT: only the CPU would be timed"

    def bundle(name: str) -> str:
        return str(folder / "bundles" / f"{name}-gated")

    def measured(part: str, name: str, *command: str, without: str = "", limit_s: float = _LIMIT_S) -> Part:
        output = folder / f"{name}-{part}{'' if data or limit_s == _LIMIT_S else '-sample'}.json"
        needs = ["environment", f"bundle-{name}"]
        line = [*cli, "bench", *command, "-o", str(output)]
        return Part(f"{part}-{name}", [line], needs, output, without, limit_s)

    def defense(name: str, method: str) -> Part:
        images = "200" if (name, method) in {("densenet", "de"), ("wide_resnet", "de")} else "1000"
        options = ["--method", method, "--images", images, *chosen, "--attack-backend", "cuda"]
        records = ["--records", str(folder / "records")]
        return measured(method, name, "defense", bundle(name), *options, *records, limit_s=float("inf"))

    adversarial = [*cli, "data", "adversarial", "--attack-backend", "cuda", "--records", str(folder / "adversarial")]
    needs = ["environment"]
    return [
        environment(folder, wheels),
        # with PIXELPROOF_GPU, tests that find no GPU fail: skipped, they would leave the part done
        Part("tests", [["env", "PIXELPROOF_GPU=1", *tests, "--continue-on-collection-errors"]], needs),
        Part(
            "sanitizer",
            [[str(sanitizer), "--tool", *tool, "--error-exitcode", "9", *watched] for tool in tools],
            needs,
            without="" if sanitizer else "no compute-sanitizer: it comes with the CUDA toolkit",
        ),
        *(
            Part(
                f"bundle-{name}",
                [[*cli, "export", name, "--purifier", "gated", "-o", bundle(name), "--force"]],
                needs,
                Path(bundle(name)) / "bundle.json",
            )
            for name in networks
        ),
        *(measured("kernels", name, "kernels", bundle(name)) for name in networks),
        *(
            measured("latency", name, "latency", bundle(name), "--batch", "1,64", "--rounds", "30", without=no_provider)
            for name in networks
        ),
        Part(
            "adversarial",
            [adversarial, [python, "-c", _COPY_ADVERSARIAL, str(folder)]],
            needs,
            limit_s=float("inf"),
        ),
        *(defense(name, method) for method in ("de", "strongest") for name in networks),
        Part(
            "train",
            [[*cli, "train", "--all", "--device", "cuda", *chosen]],
            needs,
            without="" if data else "needs the data set: --data FOLDER",
            limit_s=float("inf"),
        ),
    ]


def classifiers() -> list[str]:
    """The shipped classifiers, small ones first, as the JSON beside their weights describes them."""
    shipped = {path.stem: json.loads(path.read_text()) for path in Path("models/weights").glob("*.json")}
    found = [name for name, about in shipped.items() if "accuracy" in about["figures"]]
    return sorted(found, key=lambda name: int(shipped[name]["parameters"]))


def environment(folder: Path, wheels: Path | None) -> Part:
    """Makes `folder`/venv and installs what is missing, from `wheels` alone where that is given."""
    python = str(folder / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    offline = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
    missing = [_PACKAGES.get(name, name) for name in _MODULES if importlib.util.find_spec(name) is None]
    if _has_onnxruntime_gpu(wheels) and not _installed("onnxruntime-gpu"):  # never beside the CPU's
        missing.append("onnxruntime-gpu")
    elif importlib.util.find_spec("onnxruntime") is None:
        missing.append("onnxruntime")
    if importlib.util.find_spec("cuda") is None:
        missing += _CUDA
    commands = [
        [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(folder / "venv")],
        [python, "-c", _SEE_PARENT, sysconfig.get_path("purelib")],
        [*pip, *offline, "setuptools", "wheel", *missing],
    ]
    if importlib.util.find_spec("pycuda") is None:
        built = str(folder / "wheels")  # which takes minutes: a wheel that is kept there is not built again
        build = [*pip[:-2], "wheel", "--quiet", *offline, "--find-links", built, "--wheel-dir", built]
        commands.append([*build, "--no-deps", "--no-build-isolation", "pycuda"])
        commands.append([*pip, *offline, "--find-links", built, "pycuda"])
    commands.append([*pip, *offline, "--no-deps", "--no-build-isolation", "--editable", "."])
    asked = json.dumps([commands, Path("pyproject.toml").read_text()])
    digest = hashlib.sha256(asked.encode()).hexdigest()
    return Part("environment", commands, leaves=Path(python), limit_s=_ENVIRONMENT_S, code=digest)


def toolkit() -> Path | None:
    """The CUDA toolkit's folder; None where there is none."""
    nvcc = shutil.which("nvcc")
    named = os.environ.get("CUDA_ROOT"), os.environ.get("CUDA_HOME"), nvcc and str(Path(nvcc).resolve().parent.parent)
    roots = [Path(root) for root in (*named, "/usr/local/cuda") if root]
    return next((root for root in roots if (root / "include" / "cuda.h").is_file()), None)


def build_variables(folder: Path) -> dict[str, str]:
    """The process's variables, with what PyCUDA's build asks for: the toolkit, and no cuRAND."""
    home = folder.resolve() / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / ".aksetup-defaults.py").write_text("CUDA_ENABLE_CURAND = False\n")
    found = importlib.util.find_spec("nvidia")  # CUDA's libraries that came by pip, which ONNX Runtime is linked with
    folders = (found.submodule_search_locations or []) if found else []
    libraries = sorted(str(path) for each in folders for path in Path(each).glob("*/lib"))
    added = {"LD_LIBRARY_PATH": libraries}
    if root := toolkit():
        added |= {"CPATH": [str(root / "include")], "LIBRARY_PATH": [str(root / "lib64"), str(root / "lib64/stubs")]}
    joined = {name: os.pathsep.join(filter(None, [*paths, os.environ.get(name)])) for name, paths in added.items()}
    return {**os.environ, **joined, "HOME": str(home), **({"CUDA_ROOT": str(root)} if root else {})}


def run_slice(parts: Sequence[Part], folder: Path, minutes: float) -> dict[str, dict[str, Any]]:
    """Run what is not done yet, until all is done or the time is up; each part's state.

    What failed before comes last, but not behind what needs it.
    """
    ledger, all_code, ends = folder / "state.json", code_sha256(), time.monotonic() + 60 * minutes
    states: dict[str, dict[str, Any]] = json.loads(ledger.read_text()) if ledger.exists() else {}
    folder.mkdir(parents=True, exist_ok=True)
    variables, needed = build_variables(folder), {need for part in parts for need in part.needs}

    def comes_last(part: Part) -> bool:
        return part.name not in needed and states.get(part.name, {}).get("state") == "failed"

    for part in sorted(parts, key=comes_last):
        before, code = states.get(part.name, {}), all_code if part.code is None else part.code
        kept = part.leaves is None or part.leaves.exists()
        if before.get("state") == "done" and before.get("code") == code and kept:
            continue
        spent = before.get("seconds", 0.0) if before.get("state") == "unfinished" else 0.0
        state, note, seconds = "unfinished", "no time was left", 0.0
        if part.without:
            state, note = "skipped", part.without
        elif missing := [need for need in part.needs if states.get(need, {}).get("state") != "done"]:
            note = f"needs {' and '.join(missing)}"
        elif ends > time.monotonic():
            started = time.monotonic()
            state, note = _run(part, folder, ends, spent, variables)
            seconds = time.monotonic() - started
        states[part.name] = {"state": state, "note": note, "seconds": round(spent + seconds, 1), "code": code}
        temporary = ledger.with_suffix(".tmp")
        temporary.write_text(json.dumps(states, indent=2))
        temporary.replace(ledger)
    return {part.name: states[part.name] for part in parts}


def _run(part: Part, folder: Path, ends: float, spent: float, variables: dict[str, str]) -> tuple[str, str]:
    """The part's state and a note; `spent`: seconds in slices before, at whose ends it was stopped."""
    limit = time.monotonic() + part.limit_s - spent
    with (folder / f"{part.name}.log").open("ab") as log:
        for command in part.commands:
            said = " ".join(command)[:80]
            try:
                process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True)
            except OSError as error:
                return "failed", str(error)
            try:
                code = process.wait(max(0.0, min(ends, limit) - time.monotonic()))
            except subprocess.TimeoutExpired:
                _stop(process)
                return ("failed" if limit <= time.monotonic() else "unfinished"), f"stopped in: {said}"
            if code:
                return "failed", f"code {code} from: {said}; see {log.name}"
    return "done", ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children: by Ctrl-C, so that they keep what they have, then without asking."""
    for number in (signal.SIGINT, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            process.wait(_GRACE_S)
            return
        except subprocess.TimeoutExpired:
            continue


def code_sha256() -> str:
    """A hash of the program, its tests and the shipped weights: of what a part that is done was run with."""
    digest, root = hashlib.sha256(), Path(__file__).resolve().parent.parent
    for name in ("attack", "benchmarks", "export", "models", "runtime", "src", "tests"):
        for path in sorted((root / name).rglob("*")):
            if path.suffix in (".py", ".cu", ".cuh", ".h", ".safetensors"):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _has_onnxruntime_gpu(wheels: Path | None) -> bool:
    """Whether ONNX Runtime for a GPU is here, or can be had: a folder of wheels may do without it, as it is large."""
    return _installed("onnxruntime-gpu") or wheels is None or any(wheels.glob("onnxruntime_gpu-*.whl"))


def _installed(package: str) -> bool:
    return any(importlib.metadata.distributions(name=package))


def with_needs(parts: Sequence[Part], names: Sequence[str]) -> list[Part]:
    """Those of `names`, and what they need, in the order of `parts`."""
    by_name, wanted = {part.name: part for part in parts}, set(names)
    for name in names:
        wanted |= set(by_name[name].needs)
    return [part for part in parts if part.name in wanted]


def main() -> int:
    """Run a slice and print its table; 0 where nothing failed and nothing is left, 1 where a part failed, else 3."""
    parser = argparse.ArgumentParser(prog="make gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder of logs and results")
    parser.add_argument("--wheels", type=Path, help="packages, for a machine without network")
    data = os.environ.get("PIXELPROOF_DATA") or None
    parser.add_argument("--data", type=Path, default=data, help="CIFAR-10: a folder")
    parser.add_argument("--minutes", type=float, default=9.0, help="of this slice")
    parser.add_argument("--only", nargs="*", help="names of parts; what they need runs before them")
    asked = parser.parse_args()
    for option in ("wheels", "data"):
        if (given := getattr(asked, option)) is not None and not Path(given).exists():
            parser.error(f"--{option}: there is no '{given}'")
    parts = all_parts(asked.out, asked.wheels, asked.data)
    names = [part.name for part in parts]
    if unknown := set(asked.only or []) - set(names):
        print(f"there are no parts {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    states = run_slice(with_needs(parts, asked.only or names), asked.out, asked.minutes)
    for name, held in states.items():
        print(f"{name:<24}  {held['state']:<10}  {held['seconds']:7.0f} s  {held['note']}")
    found = {held["state"] for held in states.values()}
    return 1 if "failed" in found else 3 if "unfinished" in found else 0


if __name__ == "__main__":
    sys.exit(main())
