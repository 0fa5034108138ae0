"""Attacks few images, more, and very many, to see whether an image's cost or the memory grows with their number.

python -m pixelproof.benchmarks.growth BUNDLE --data FOLDER -o RESULTS.json
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from pixelproof.benchmarks.attack_process import attack_command, finish, outcomes, summary
from pixelproof.benchmarks.standalone import heading, parser, told, typed
from pixelproof.runtime import read_bundle
from pixelproof.runtime.bundle import CLASSIFIER

SIZES = (100, 1_000, 7_500)


def grow(
    bundle: Path,
    *,
    data: Path | None = None,
    sizes: tuple[int, ...] = SIZES,
    method: str = "corners",
    threads: int = 1,
    command: str = "",
) -> dict[str, Any]:
    """Attack the first `sizes` images that the bare classifier gets right, each number in a process of its own.

    Args:
        bundle: its folder.
        data: CIFAR-10; the 200 shipped images where None.
        sizes: numbers of images.
        method: of the attack.
        threads: CPU threads a call may use.
        command: for the record.

    Returns:
        For each number its seconds an image (of the search alone), queries a second, success, the seconds of the
        process's start and end, and the largest resident set.

    Raises:
        PixelproofError: an attack failed.
    """
    opened = read_bundle(bundle)
    rows, said = zip(*(_measured(attack_command(bundle, data, size, method, threads)) for size in sizes), strict=True)
    name, graph = opened.manifest["classifier"]["name"], opened.files[CLASSIFIER]
    conditions = {"provider": said[-1]["provider"], "data": said[-1]["data"], "threads": threads, "command": command}
    return {**heading("growth", name, graph, **conditions), "method": method, "rows": list(rows)}


def _measured(command: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of one number of images, and what the attack says of itself."""
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as made:
        records, folder = Path(made) / "records.sqlite", Path(made) / "found"
        command = [*command, "--records", str(records)]
        whole = finish(command)
        finish([*command, "-o", str(folder)])  # from the records: nothing is attacked again
        found, said = outcomes(folder), summary(folder)
    seconds = sum(outcome["seconds"] for outcome in found)
    queries = sum(outcome["queries"] for outcome in found)
    row = {
        "images": len(found),
        "success": sum(outcome["success"] for outcome in found) / len(found),
        "queries_per_image": queries / len(found),
        "queries_per_s": queries / seconds,
        "seconds_per_image": seconds / len(found),
        "start_s": whole.seconds - seconds,
        "peak_mib": whole.peak_mib,
    }
    return row, said


def main() -> int:
    """The command line."""
    line = parser(__doc__)
    line.add_argument("--data", type=Path)
    line.add_argument("--images", type=int, nargs="+", default=SIZES)
    line.add_argument("--method", default="corners")
    line.add_argument("--threads", type=int, default=1)
    asked = line.parse_args()
    options = {"data": asked.data, "sizes": tuple(asked.images), "method": asked.method, "threads": asked.threads}
    options["command"] = typed("pixelproof.benchmarks.growth")
    told(lambda: grow(asked.bundle, **options), asked.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
