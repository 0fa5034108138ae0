"""The old name of `pixelproof.attack.evaluation` and `pixelproof.benchmarks.defense`, for one more release."""

from pixelproof.deprecation import moved

_EVALUATION, _DEFENSE = "pixelproof.attack.evaluation", "pixelproof.benchmarks.defense"

__getattr__ = moved(
    __name__,
    {
        "DataChoice": _EVALUATION,
        "Settings": _EVALUATION,
        "attack_bundle": _EVALUATION,
        "bench_defence": f"{_DEFENSE}:bench_defense",
        "measure_bundle": _DEFENSE,
        "merge_results": _DEFENSE,
    },
)
