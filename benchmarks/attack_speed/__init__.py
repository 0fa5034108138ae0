"""How fast attacks find what they find: this project's beside other projects', image by image in turn."""

from pixelproof.benchmarks.attack_speed.measure import AttackSpeedSettings, bench_attack

__all__ = ["AttackSpeedSettings", "bench_attack"]
