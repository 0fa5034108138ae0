import numpy as np
import pytest

from pixelproof.attack.search.candidates import Canvas


@pytest.mark.parametrize("pixels", [1, 3])
def test_draws_what_a_plain_copy_would_show(make_images, pixels):
    images = make_images(4, 3, 5)
    canvas, random = Canvas(images, 8), np.random.default_rng(1)
    for rows in (8, 3, 8, 1, 5, 8):  # rows change image, stay, or hold what they held
        which = np.sort(random.integers(0, 4, rows))
        positions = random.integers(0, 15, (rows, pixels))
        colors = random.integers(0, 256, (rows, pixels, 3), dtype=np.uint8)
        batch = canvas.draw(which, positions, colors)
        assert batch.shape == (8, 3, 5, 3)
        for row in range(rows):
            expected = images[which[row]].copy()
            for position, color in zip(positions[row], colors[row], strict=True):
                expected[position // 5, position % 5] = color
            assert np.array_equal(batch[row], expected)
        canvas.wipe()
        assert np.array_equal(canvas.batch[:rows], images[which])


def test_of_equal_positions_the_last_is_seen(make_images):
    canvas = Canvas(make_images(1, 2, 2), 1)
    colors = np.array([[[1, 1, 1], [2, 2, 2]]], np.uint8)
    batch = canvas.draw(np.zeros(1, np.int64), np.array([[3, 3]]), colors)
    assert batch[0, 1, 1].tolist() == [2, 2, 2]


def test_draws_unchanged_images(make_images):
    images = make_images(3, 2, 2)
    canvas = Canvas(images, 4)
    which = np.array([2, 0, 1])
    batch = canvas.draw(which, np.empty((3, 0), np.int64), np.empty((3, 0, 3), np.uint8))
    assert np.array_equal(batch[:3], images[which])
    canvas.wipe()
    assert np.array_equal(canvas.batch[:3], images[which])
