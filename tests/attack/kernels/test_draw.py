"""What a batch shows, byte for byte, against the canvas that the CPU draws on."""

import numpy as np
import pytest

from pixelproof.attack.kernels.sources import CHUNK
from pixelproof.attack.search.candidates import Canvas

BLOCKS = [1, 32, 33, 128, 256, 1024]


def seen(table, shown):
    """Positions `(m, k)` and colors `(m, k, 3)` of the candidates shown, as de.py has it."""
    height, width = table.sizes.height, table.sizes.width
    members = table.children.reshape(-1, table.sizes.pixels, 5)[shown]
    whole = np.clip(np.floor(members), 0, np.array([height - 1, width - 1, 255, 255, 255], np.float32)).astype(np.int64)
    return whole[..., 0] * width + whole[..., 1], whole[..., 2:].astype(np.uint8)


def random_numbers(table, rng):
    """Children inside the image, on its border and far outside; colors likewise."""
    reach = np.array([table.sizes.height, table.sizes.width, 255, 255, 255], np.float32)
    table.children[:] = (rng.random(table.children.shape) * 1.6 - 0.3) * reach
    whole = rng.random(table.children.shape) < 0.2
    table.children[whole] = np.round(table.children[whole])


def draw_and_compare(table, canvas):
    for shown in table.spans():
        table.draw(shown)
        used = shown[shown >= 0]
        image_of_row = table.image_of[used // table.sizes.size].astype(np.int64)
        expected = canvas.draw(image_of_row, *seen(table, used))[: len(used)]
        assert np.array_equal(table.batch[: len(used)], expected)
        canvas.wipe()
    table.check_guards()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("block", BLOCKS)
def test_batches_are_the_canvass(make_kernels, random_table, block, backwards):
    rng = np.random.default_rng(block)
    for _ in range(8):
        table = random_table(make_kernels(block, backwards=backwards), rng)
        canvas = Canvas(table.images, table.rows)
        for _ in range(3):  # the same images again, then others
            random_numbers(table, rng)
            draw_and_compare(table, canvas)
        table.image_of[:] = rng.integers(0, 3, table.sizes.lanes)
        random_numbers(table, rng)
        draw_and_compare(table, canvas)


@pytest.mark.parametrize(("height", "width", "whole"), [(8, 8, True), (4, 12, True), (7, 9, False), (1, 1, False)])
def test_images_are_copied_in_pieces(make_kernels, make_table, height, width, whole):
    """Where each starts on a boundary, in one load and store a piece; else byte by byte, the last piece cut short."""
    rng = np.random.default_rng(height)
    images = rng.integers(0, 256, (3, height, width, 3), np.uint8)
    table = make_table(make_kernels(), images, [2, 0], [0, 0], [[1, 2], [3, 4]], size=5, pixels=1, rows=10)
    addresses = [array.ctypes.data for array in (table.images, table.batch)]
    assert all(address % CHUNK == 0 for address in addresses)
    assert (images[0].nbytes % CHUNK == 0) == whole
    random_numbers(table, rng)
    draw_and_compare(table, Canvas(images, 10))


@pytest.mark.parametrize("pixels", [3, 5])
def test_of_equal_positions_the_last_is_seen_and_all_are_restored(make_kernels, random_table, pixels):
    rng = np.random.default_rng(pixels)
    table = random_table(make_kernels(), rng, pixels=pixels, size=6, lanes=1, rows=6)
    random_numbers(table, rng)
    table.children[..., :2] = table.children[:, :, :1, :2]
    (shown,) = table.spans()
    table.draw(shown)
    positions, colors = seen(table, shown)
    rows, columns = np.divmod(positions[:, 0], table.sizes.width)
    assert np.array_equal(table.batch[np.arange(6), rows, columns], colors[:, -1])
    table.children[..., :2] += 1
    draw_and_compare(table, Canvas(table.images, 6))


def test_every_edge_of_the_floor_and_the_clip(make_kernels, make_table):
    below, above = (np.nextafter(np.float32(5), np.float32(end)) for end in (-9, 9))
    numbers = np.array([-0.0, 0.0, -1e-30, 1e-30, -0.5, below, 5, above, 255, 255.5, 256, 3e38, -3e38], np.float32)
    images = np.full((1, 8, 300, 3), 100, np.uint8)
    count = len(numbers)
    table = make_table(make_kernels(), images, [0], [0], [[1, 2]], size=count, pixels=1, rows=count)
    table.children[0] = numbers[:, None, None]
    draw_and_compare(table, Canvas(images, count))


def test_a_batch_is_touched_only_where_pixels_change(make_kernels, random_table):
    rng = np.random.default_rng(5)
    table = random_table(make_kernels(), rng, lanes=1, rows=40, size=40)
    (shown,) = table.spans()
    random_numbers(table, rng)
    table.draw(shown)
    restored = table.drawn.copy()
    table.batch[:] = 77
    random_numbers(table, rng)
    table.draw(shown)
    for row, batch in enumerate(table.batch.reshape(40, -1, 3)):
        untouched = np.ones(len(batch), bool)
        untouched[np.concatenate([restored[row], table.drawn[row]])] = False
        assert (batch[untouched] == 77).all()


def test_idle_rows_and_lanes_that_stopped_are_left_alone(make_kernels, random_table):
    rng = np.random.default_rng(6)
    table = random_table(make_kernels(), rng, lanes=2, size=5, rows=10)
    random_numbers(table, rng)
    (shown,) = table.spans()
    table.draw(shown)
    before, held = table.batch.copy(), table.held.copy()
    random_numbers(table, rng)
    table.generations[1] = ~3
    shown[2] = -1
    table.draw(shown)
    left = [2, 5, 6, 7, 8, 9]
    assert np.array_equal(table.batch[left], before[left])
    assert np.array_equal(table.held, held)
    assert not np.array_equal(table.batch[:2], before[:2])


def test_rows_may_show_candidates_in_any_order(make_kernels, random_table):
    rng = np.random.default_rng(7)
    table = random_table(make_kernels(), rng, lanes=3, size=7, rows=21)
    canvas = Canvas(table.images, 21)
    for _ in range(4):
        shown = rng.permutation(21).astype(np.int32)
        random_numbers(table, rng)
        table.draw(shown)
        expected = canvas.draw(table.image_of[shown // 7].astype(np.int64), *seen(table, shown))
        assert np.array_equal(table.batch, expected)
        canvas.wipe()
