"""Kills an attack again and again, and compares what it finds in the end with one that was left alone.

python -m pixelproof.benchmarks.survival BUNDLE -o RESULTS.json
"""

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pixelproof.benchmarks.attack_process import attack_command, finish, outcomes, summary
from pixelproof.benchmarks.standalone import heading, parser, told, typed
from pixelproof.runtime import read_bundle
from pixelproof.runtime.bundle import CLASSIFIER

KILLS = 50
_COMPARED = ("image", "success", "pixels", "colours", "queries", "exhausted")


def survive(
    bundle: Path, *, kills: int = KILLS, images: int = 100, method: str = "de", seed: int = 0, command: str = ""
) -> dict[str, Any]:
    """Attack `images` shipped images in processes of which `kills` are killed (SIGKILL) at random moments.

    Args:
        bundle: its folder; its bare classifier is attacked.
        kills: how many processes are killed; fewer where the attack has ended before.
        images: to attack.
        method: of the attack.
        seed: of the moments.
        command: for the record.

    Returns:
        The kills, how many images were done at each, and whether every image's outcome is that of an unbroken run.

    Raises:
        PixelproofError: an attack failed.
    """
    draw, opened = random.Random(seed), read_bundle(bundle)
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as made:
        folder = Path(made)
        attack = [*attack_command(bundle, None, images, method, threads=1), "--records"]
        alone = finish([*attack, str(folder / "whole.sqlite"), "-o", str(folder / "whole")]).seconds
        # nothing is left to do
        idle = finish([*attack, str(folder / "whole.sqlite"), "-o", str(folder / "again")]).seconds
        slice_s = max(0.05, alone - idle) / kills
        moments = []
        for _ in range(kills):
            moment = idle * draw.uniform(0.2, 1.0) + draw.uniform(0, 1.4) * slice_s
            if not _kill([*attack, str(folder / "broken.sqlite")], moment):
                break
            moments.append(moment)
        finish([*attack, str(folder / "broken.sqlite"), "-o", str(folder / "broken")])
        whole, broken = (_outcomes(folder / name) for name in ("whole", "broken"))
        said = summary(folder / "whole")
    name, graph = opened.manifest["classifier"]["name"], opened.files[CLASSIFIER]
    conditions = {"provider": said["provider"], "data": said["data"], "threads": 1, "command": command, "seed": seed}
    return {
        **heading("survival", name, graph, **conditions),
        "method": method,
        "images": images,
        "kills": len(moments),
        "seconds_unbroken": alone,
        "kill_moments_s": moments,
        "same_outcomes": sum(one == other for one, other in zip(whole, broken, strict=True)),
        "of": len(whole),
    }


def _kill(command: list[str], moment: float) -> bool:
    """Whether the process was still running when it was to be killed; if not, nothing was left to do."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return True
    return False


def _outcomes(folder: Path) -> list[dict[str, Any]]:
    return [{name: outcome[name] for name in _COMPARED} for outcome in outcomes(folder)]


def main() -> int:
    """The command line; 0 where it was killed as often as asked, and all outcomes are the same."""
    line = parser(__doc__)
    line.add_argument("--kills", type=int, default=KILLS)
    line.add_argument("--images", type=int, default=100)
    line.add_argument("--method", default="de")
    asked = line.parse_args()
    options = {"kills": asked.kills, "images": asked.images, "method": asked.method}
    options["command"] = typed("pixelproof.benchmarks.survival")
    found = told(lambda: survive(asked.bundle, **options), asked.output)
    return int(found["same_outcomes"] != found["of"] or found["kills"] != asked.kills)


if __name__ == "__main__":
    sys.exit(main())
