"""Where a change is seen, against counting it out place by place."""

from itertools import product

import numpy as np
import pytest

from pixelproof.attack.predictors.windows.receptive_field import (
    Box,
    ReceptiveField,
    Wiring,
    fits_padded,
    follow,
    start_boxes,
    window,
)


def seen(start: int, size: int, field: ReceptiveField, length: int) -> set[int]:
    """The outputs that see a changed stretch, counted out."""
    return {
        place
        for place in range(length)
        if set(range(field.stride * place - field.before, field.stride * place + field.after + 1))
        & set(range(start, start + size))
    }


LAYERS = [(kernel, stride, before) for kernel, stride in product((1, 2, 3, 5), (1, 2, 3)) for before in range(kernel)]


@pytest.mark.parametrize(("kernel", "stride", "before"), LAYERS)
@pytest.mark.parametrize("given", [11, 12])
def test_a_window_holds_all_that_changes_and_all_that_this_sees(kernel: int, stride: int, before: int, given: int):
    field = ReceptiveField(before, kernel - 1 - before, stride)
    length = (given + before - kernel) // stride + 1  # padding at the start alone
    for size in (1, 3):
        box = start_boxes(given, size)
        for padded in (False, True) if fits_padded([field], [given], length) else (False,):
            found = window([box], [field], [given], length, padded=padded)
            ((first_input, input_size),) = found.inputs
            for index, start in enumerate(box.start.tolist()):
                changed = set(range(found.changed.start[index], found.changed.start[index] + found.changed.size))
                assert seen(start, size, field, length) <= changed <= set(range(length))
                begin, end = first_input[index], first_input[index] + input_size - 1
                assert begin <= start
                assert start + size - 1 <= end
                for place in changed:
                    low, high = stride * place - before, stride * place + field.after
                    assert (begin <= low or begin == 0) if not padded else begin <= low
                    assert high <= end or end >= given - 1


def test_two_paths_are_joined_where_either_changes():
    wide, narrow = Box(np.array([2, 5]), 5), Box(np.array([4, 7]), 1)
    found = window([wide, narrow], [ReceptiveField(1, 1), ReceptiveField(0, 0)], [16, 16], 16, padded=True)
    assert found.changed.start.tolist() == [1, 4]
    assert found.changed.size == 7
    assert [(start.tolist(), size) for start, size in found.inputs] == [([0, 3], 9), ([1, 4], 7)]


def test_fields_follow_one_another():
    assert ReceptiveField(1, 1, 2).then(ReceptiveField(2, 1, 3)) == ReceptiveField(5, 3, 6)
    assert ReceptiveField(0, 3, 2).joined(ReceptiveField(1, 1, 2)) == ReceptiveField(1, 3, 2)


def test_following_a_change_through_layers_grows_its_box():
    wiring = [Wiring((name,), (after,), (ReceptiveField(1, 1),), padded=True) for name, after in ("ab", "bc", "cd")]
    boxes, windows = follow({"a": start_boxes(9, 1)}, wiring, dict.fromkeys("abcd", 9))
    assert [boxes[name].size for name in "abcd"] == [1, 3, 5, 7]
    assert boxes["d"].start.tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 2]
    assert [found.size for found in windows] == [3, 5, 7]
