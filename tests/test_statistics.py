"""The Wilson interval against published values."""

import pytest

from pixelproof.statistics import wilson_interval


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. in Medicine 1998, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_values(count, n, low, high):
    assert wilson_interval(count, n) == pytest.approx((low, high), abs=5e-5)


def test_mirrored_counts_have_mirrored_intervals():
    low, high = wilson_interval(3, 50)
    assert wilson_interval(47, 50) == pytest.approx((1 - high, 1 - low))


def test_ends_are_exact_where_all_or_none_count():
    assert wilson_interval(0, 200)[0] == 0.0
    assert wilson_interval(200, 200)[1] == 1.0


@pytest.mark.parametrize(("count", "n"), [(0, 0), (5, 4), (-1, 4)])
def test_no_interval_for_impossible_counts(count, n):
    with pytest.raises(ValueError, match="expected 0 <= count <= n"):
        wilson_interval(count, n)
