"""What the benchmarks that are run as modules share: `python -m pixelproof.benchmarks.NAME BUNDLE -o RESULTS.json`."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixelproof.errors import PixelproofError
from pixelproof.files import write_json


def parser(description: str | None) -> argparse.ArgumentParser:
    """Takes a bundle's folder, and where results go."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("bundle", type=Path)
    made.add_argument("-o", "--output", type=Path)
    return made


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
