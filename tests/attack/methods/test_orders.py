import numpy as np
import pytest

from pixelproof.attack.methods.ranking import checked_ranking, rank, spread
from pixelproof.errors import UsageError


def test_the_smallest_score_is_first_and_equal_ones_come_by_number():
    scores = np.array([[3, 1, 2, 1], [0, 0, 0, -1]], np.float32)
    assert rank(scores).tolist() == [[1, 3, 2, 0], [3, 0, 1, 2]]
    assert rank(scores).dtype == np.int32


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 96, 448, 1000, 8192, 65_536])
def test_a_spread_ranking_has_each_candidate_once(count):
    assert np.array_equal(np.sort(spread(count)), np.arange(count))


@pytest.mark.parametrize("share", [1 / 64, 1 / 32, 1 / 8])
def test_every_beginning_of_a_spread_ranking_leaves_no_large_gap(share):
    beginning = np.sort(spread(8192)[: int(share * 8192)])
    gaps = np.diff(beginning, append=beginning[0] + 8192)
    assert gaps.max() <= 3 / share  # three times what even steps would leave


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_a_permutation_in_any_integers_is_a_ranking(dtype):
    given = np.array([[2, 0, 1], [0, 1, 2]], dtype)
    checked = checked_ranking(given, (2, 3))
    assert checked.dtype == np.int32
    assert np.array_equal(checked, given)
    assert np.array_equal(checked_ranking(given.tolist(), (2, 3)), given)


@pytest.mark.parametrize(
    ("ranking", "words"),
    [
        ([[0, 1, 1], [0, 1, 2]], "each of the 3 candidates once"),
        ([[0, 1, 3], [0, 1, 2]], "permutation of 0 to 2"),
        ([[0, 1, -1], [0, 1, 2]], "permutation of 0 to 2"),
        ([[0, 1, 2]], r"int64 of shape \(1, 3\).*\(2, 3\)"),
        ([[0, 1], [0, 1]], r"int64 of shape \(2, 2\).*\(2, 3\)"),
        (np.zeros((2, 3), np.float32), "float32.*expected integers"),
        (None, r"object of shape \(\).*expected integers"),
        ([[0, 1, 2], [0, 1]], r"list of parts that differ in shape.*\(2, 3\)"),
    ],
)
def test_anything_else_is_refused(ranking, words):
    with pytest.raises(UsageError, match=words) as refusal:
        checked_ranking(ranking, (2, 3))
    assert "order" in str(refusal.value)
    assert "Next: " in str(refusal.value)
