"""Counts the successes that a screen would lose.

python -m pixelproof.benchmarks.screening BUNDLE --screen bf16 -o RESULTS.json
"""

import math
import sys

from pixelproof.benchmarks.screening.proof import PROTOCOLS, SUCCESSES, prove
from pixelproof.benchmarks.screening.screens import SCREENS
from pixelproof.benchmarks.standalone import parser, told


def main() -> int:
    """The command line; 0 where there were successes, and none was lost."""
    line = parser(__doc__)
    line.add_argument("--screen", choices=tuple(SCREENS), default="int8")
    line.add_argument("--protocol", choices=PROTOCOLS, default="transfer")
    line.add_argument("--successes", type=int, default=SUCCESSES)
    line.add_argument("--margin", type=float)
    line.add_argument("--within", type=float, default=math.inf, help="nats; see `prove`")
    line.add_argument("--threads", type=int)
    asked = vars(line.parse_args())
    bundle, output = asked.pop("bundle"), asked.pop("output")
    found = told(lambda: prove(bundle, **asked), output)
    return int(found["lost"] != 0 or not found["successes"])


if __name__ == "__main__":
    sys.exit(main())
