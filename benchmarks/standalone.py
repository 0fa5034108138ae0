"""What the benchmarks that are run as modules share: `python -m pixelproof.benchmarks.NAME BUNDLE -o RESULTS.json`."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.codec import encode
from pixelproof.errors import PixelproofError
from pixelproof.files import write_json
from pixelproof.runtime.onnx_bytes import graph_sha256


def parser(description: str | None) -> argparse.ArgumentParser:
    """Takes a bundle's folder, and where results go."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("bundle", type=Path)
    made.add_argument("-o", "--output", type=Path)
    return made


def heading(kind: str, classifier: str, graph: bytes, **conditions: Any) -> dict[str, Any]:  # noqa: ANN401
    """What results begin with: their kind and date, what was measured, and how.

    Args:
        kind: of the results.
        classifier: its name.
        graph: the ONNX file that ran.
        conditions: as for `describe_conditions`.
    """
    return {
        "kind": kind,
        "created": now(),
        "classifier": classifier,
        "graph_sha256": graph_sha256(graph),
        "conditions": encode(describe_conditions(**conditions)),
    }


def typed(module: str) -> str:
    """The command as it was typed, for the record."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def told(measure: Callable[[], dict[str, Any]], output: Path | None) -> dict[str, Any]:
    """What `measure` gave, printed, and written to `output` where there is one; an error ends the process in a line."""
    try:
        found = measure()
        if output is not None:
            write_json(output, found)
    except PixelproofError as error:
        sys.exit(f"error: {error}")
    print(json.dumps(found, indent=2))
    return found
