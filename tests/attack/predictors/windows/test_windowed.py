"""`Windowed` gives what purifying the whole image gives, at every position, and asks for windows alone."""

import numpy as np
import pytest

from pixelproof.attack import Memoized, Windowed, attack
from pixelproof.attack.predictors.windows.windowed import side_for
from pixelproof.attack.search.candidates import drawn


def smallest_around(reach: int):
    """A purifier of integers: the smallest value within `reach`, less 1 for each row or column beyond the border."""

    def purify(images: np.ndarray) -> np.ndarray:
        _, height, width, _ = images.shape
        pads = [(0, 0), (reach, reach), (reach, reach), (0, 0)]
        padded = np.pad(images.astype(np.int64), pads, constant_values=300)
        shifts = range(2 * reach + 1)
        smallest = np.min([padded[:, i : i + height, j : j + width] for i in shifts for j in shifts], axis=0)
        beyond = np.pad(np.zeros_like(images, np.int64), pads, constant_values=1)
        count = np.sum([beyond[:, i : i + height, j : j + width] for i in shifts for j in shifts], axis=0)
        return np.clip(smallest - count, 0, 255).astype(np.uint8)

    return purify


def everywhere(size: tuple[int, int], images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A candidate at every position of every image, in mixed order."""
    random, count = np.random.default_rng(0), size[0] * size[1]
    order = random.permutation(images * count)
    colors = random.integers(0, 256, (images * count, 1, 3)).astype(np.uint8)
    return order // count, (order % count)[:, None], colors


@pytest.mark.parametrize("reach", [0, 1, 2])
@pytest.mark.parametrize("size", [(9, 9), (13, 11), (5, 20), (4, 4), (1, 30)])
@pytest.mark.parametrize("batch_size", [7, 256])
def test_every_position_is_purified_as_in_the_whole_image(reach: int, size, batch_size: int):
    images = np.random.default_rng(1).integers(100, 256, (3, *size, 3)).astype(np.uint8)
    candidates = everywhere(size, len(images))
    purify = smallest_around(reach)
    by_window = Windowed(purify, purify, reach, batch_size=batch_size)
    expected = purify(drawn(images, *candidates))
    assert (expected != purify(images)[candidates[0]]).any()
    for _ in range(2):  # the second time clean images are known
        answer = by_window(images, *candidates)
        assert answer.dtype == np.uint8
        np.testing.assert_array_equal(answer, expected)


def test_a_reach_that_is_too_small_is_wrong():
    images = np.random.default_rng(1).integers(100, 256, (2, 16, 16, 3)).astype(np.uint8)
    candidates = everywhere((16, 16), 2)
    purify = smallest_around(2)
    assert (Windowed(purify, purify, 1)(images, *candidates) != purify(drawn(images, *candidates))).any()


@pytest.mark.parametrize("pixels", [0, 2, 5])
def test_no_pixel_and_several_are_purified_as_a_whole(pixels: int):
    random = np.random.default_rng(2)
    images = random.integers(100, 256, (2, 12, 12, 3)).astype(np.uint8)
    candidates = (
        random.integers(0, 2, 30),
        random.integers(0, 144, (30, pixels)),
        random.integers(0, 256, (30, pixels, 3)).astype(np.uint8),
    )
    purify = smallest_around(1)
    answer = Windowed(purify, purify, 1, batch_size=8)(images, *candidates)
    np.testing.assert_array_equal(answer, purify(drawn(images, *candidates)))


def test_the_whole_image_is_asked_for_once_and_windows_are_small():
    asked: list[tuple[int, ...]] = []

    def seen(images: np.ndarray) -> np.ndarray:
        asked.append(images.shape)
        return smallest_around(1)(images)

    images = np.random.default_rng(3).integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
    by_window = Windowed(seen, seen, 1, batch_size=64)
    for _ in range(3):
        by_window(images, *everywhere((12, 12), 2))
    assert asked.count((64, 12, 12, 3)) == 1
    assert set(asked) == {(64, 12, 12, 3), (64, side_for(1), side_for(1), 3)}


def test_a_purifier_may_answer_in_the_same_array_each_time():
    images = np.random.default_rng(4).integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
    answers: dict[tuple[int, ...], np.ndarray] = {}

    def reusing(batch: np.ndarray) -> np.ndarray:
        answer = answers.setdefault(batch.shape, np.empty_like(batch))
        answer[:] = smallest_around(1)(batch)
        return answer

    candidates = everywhere((12, 12), 2)
    by_window = Windowed(reusing, reusing, 1, batch_size=16)
    np.testing.assert_array_equal(by_window(images, *candidates), smallest_around(1)(drawn(images, *candidates)))


@pytest.mark.parametrize(("method", "pixels"), [("corners", 1), ("corners", 2), ("de", 1), ("levels", 1)])
def test_a_search_that_gives_changes_finds_what_one_that_draws_them_finds(
    method: str, pixels: int, make_crops, make_classifier, same_outcomes
):
    images, classifier = make_crops(6, 12, 11), make_classifier(12, 11, seed=5)
    purify = smallest_around(1)
    labels = classifier(purify(images)).argmax(1)
    by_window = Windowed(purify, purify, 1, batch_size=32)
    given = Memoized(purify, classifier, purify_changes=by_window)
    shown = Memoized(purify, classifier)
    assert shown.takes_changes is False
    options = {"population": 20, "generations": 5} if method == "de" else {}
    first, second = (
        attack(predict, images, labels, method=method, pixels=pixels, **options) for predict in (given, shown)
    )
    same_outcomes(first, second)
    np.testing.assert_array_equal(first.evaluated, second.evaluated)
    assert given.asked > 0
