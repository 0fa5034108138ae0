"""What importing and running the runtime brings into a bare interpreter."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HEAVY = ("torch", "onnx", "onnxruntime", "PIL", "typer", "rich", "matplotlib", "safetensors")


def imported_by(code: str) -> set[str]:
    code += "\nimport sys; print(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_brings_numpy_and_nothing_heavier():
    modules = imported_by("import pixelproof.runtime")
    assert "numpy" in modules
    assert not modules & set(HEAVY)


def test_running_a_bundle_brings_onnxruntime_and_no_pytorch(make_bundle: Callable[..., Path]):
    modules = imported_by(
        "import numpy\n"
        "from pixelproof.runtime import Pipeline\n"
        f"with Pipeline({str(make_bundle())!r}) as pipeline:\n"
        "    pipeline(numpy.zeros((2, 4, 6, 3), numpy.uint8))\n"
        "    pipeline.purify(numpy.zeros((2, 4, 6, 3), numpy.uint8))"
    )
    assert "onnxruntime" in modules
    assert not modules & (set(HEAVY) - {"onnxruntime"})
