"""The timing itself, with contenders whose times are set by a clock of the test's own."""

import numpy as np
import pytest

from pixelproof.benchmarks import latency
from pixelproof.benchmarks.latency import Contender, measure_latency
from pixelproof.errors import UsageError

IMAGES = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)


class Clock:
    """Stands in for the time module: each contender's run moves it on by a time of the test's choice."""

    def __init__(self, monkeypatch):
        self.now = 0
        self.calls = []
        monkeypatch.setattr(latency, "time", self)

    def perf_counter_ns(self):
        return self.now

    def contender(self, name, *milliseconds):
        """A contender that takes each of `milliseconds` in turn, after the warm-up."""
        runs = [0] * latency._WARM_UP + [int(ms * 1e6) for ms in milliseconds]

        def run(images):
            self.calls.append((name, images))
            self.now += runs.pop(0)

        return Contender(name, "stand-in", run)


def test_the_figures_are_those_of_the_times(monkeypatch):
    clock = Clock(monkeypatch)
    slow = clock.contender("slow", 2, 2, 4, 8, 4)
    fast = clock.contender("fast", 1, 1, 1, 1, 1)
    slow_row, fast_row = measure_latency([slow, fast], IMAGES, batches=[2], rounds=5, baseline="fast")
    times = np.array([2, 2, 4, 8, 4])
    assert (slow_row.p50_ms, slow_row.p90_ms, slow_row.p99_ms) == pytest.approx(np.percentile(times, [50, 90, 99]))
    assert slow_row.variation == pytest.approx(times.std() / times.mean())
    assert slow_row.images_per_second == pytest.approx(2 / 0.004)
    assert (slow_row.ratio, fast_row.ratio, fast_row.variation) == (4, 1, 0)
    assert (slow_row.batch, slow_row.rounds, slow_row.provider) == (2, 5, "stand-in")


def test_each_round_starts_with_the_next_contender(monkeypatch):
    clock = Clock(monkeypatch)
    contenders = [clock.contender(name, 1, 1, 1, 1) for name in "abc"]
    measure_latency(contenders, IMAGES, batches=[1], rounds=4)
    names = "".join(name for name, _ in clock.calls)
    assert names[-12:] == "abc" + "bca" + "cab" + "abc"
    assert set(names[:-12]) == set("abc")


def test_a_batch_larger_than_the_images_repeats_them(monkeypatch):
    clock = Clock(monkeypatch)
    measure_latency([clock.contender("only", 1)], IMAGES, batches=[5], rounds=1)
    assert np.array_equal(clock.calls[-1][1], IMAGES[[0, 1, 2, 0, 1]])


def test_no_ratio_where_the_baseline_was_not_timed(monkeypatch):
    (row,) = measure_latency([Clock(monkeypatch).contender("only", 1)], IMAGES, batches=[1], rounds=1, baseline="none")
    assert row.ratio is None


def test_progress_counts_every_round(monkeypatch):
    clock = Clock(monkeypatch)
    contender = Contender("any", "stand-in", lambda images: setattr(clock, "now", clock.now + 1))
    seen = []
    measure_latency([contender], IMAGES, batches=[1, 2], rounds=3, progress=lambda *step: seen.append(step))
    assert seen == [("timing", done, 6) for done in range(1, 7)]


@pytest.mark.parametrize(
    ("contenders", "images", "options"),
    [(0, 3, {}), (1, 0, {}), (1, 3, {"rounds": 0}), (1, 3, {"batches": []}), (1, 3, {"batches": [8, 0]})],
)
def test_nothing_to_time_is_refused(contenders, images, options):
    contender = Contender("any", "stand-in", lambda images: None)
    with pytest.raises(UsageError, match="Next: "):
        measure_latency([contender] * contenders, IMAGES[:images], **options)
