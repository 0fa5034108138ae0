"""`make gpu`: everything that needs a GPU, in slices of time; run it again until nothing is left."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pixelproof.benchmarks.gpu.environment import build_variables, code_sha256
from pixelproof.benchmarks.gpu.parts import all_parts, missing_engines
from pixelproof.benchmarks.gpu.slices import DONE, FAILED, UNFINISHED, Outcome, run_slice, with_needs


def main() -> int:
    """Run a slice and print its table; 0 where nothing failed and nothing is left, 1 where a part failed, else 3."""
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
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
    folder: Path = asked.out.resolve()
    if folder.is_relative_to(Path.cwd()):  # as results name their files
        folder = folder.relative_to(Path.cwd())
    parts = all_parts(folder, asked.wheels, asked.data)
    names = [part.name for part in parts]
    if unknown := set(asked.only or []) - set(names):
        print(f"there are no parts {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    chosen = with_needs(parts, asked.only or names)
    outcomes = run_slice(chosen, folder, 60 * asked.minutes, build_variables(folder), code_sha256())
    print(table(outcomes))
    for note in missing_engines():
        print(note)
    states = {outcome.state for outcome in outcomes.values()}
    return 1 if FAILED in states else 3 if UNFINISHED in states else 0


def table(outcomes: Mapping[str, Outcome]) -> str:
    """A line a part: name, state, seconds, and what to know of it."""
    width = max(map(len, outcomes))
    lines = [
        f"{name:<{width}}  {outcome.state:<10}  {outcome.seconds:7.0f} s  {outcome.note}"
        for name, outcome in outcomes.items()
    ]
    done = sum(outcome.state == DONE for outcome in outcomes.values())
    return "\n".join([*lines, f"{done} of {len(outcomes)} done"])


if __name__ == "__main__":
    sys.exit(main())
