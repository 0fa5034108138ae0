"""Counts the successes that a screen would lose.

python -m pixelproof.benchmarks.screening BUNDLE --screen bf16 -o RESULTS.json
"""

import math
import sys

from pixelproof.attack.evaluation.screening.screens import SCREENS
from pixelproof.benchmarks.screening.validation import PROTOCOLS, SUCCESSES, validate_screen
from pixelproof.benchmarks.standalone import parser, told, typed


def main() -> int:
    """The command line; 0 where there were successes, and none was lost."""
    line = parser(__doc__)
    line.add_argument("--screen", choices=tuple(SCREENS), default="int8")
    line.add_argument("--protocol", choices=PROTOCOLS, default="transfer")
    line.add_argument("--successes", type=int, default=SUCCESSES)
    line.add_argument("--margin", type=float)
    line.add_argument("--within", type=float, default=math.inf, help="nats; see `validate_screen`")
    line.add_argument("--threads", type=int)
    asked = vars(line.parse_args())
    bundle, output = asked.pop("bundle"), asked.pop("output")
    command = typed("pixelproof.benchmarks.screening")
    found = told(lambda: validate_screen(bundle, **asked, command=command), output)
    return int(found["lost"]["count"] != 0 or not found["successes"])


if __name__ == "__main__":
    sys.exit(main())
