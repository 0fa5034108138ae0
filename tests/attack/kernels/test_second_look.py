"""A driver may show a winner again and go on behind it where it fails, as the scheduler does."""

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.search.randomness import search_key

SIZE, LAST = 12, 6


def first_looks(predict):
    """What the attack showed, less its first question and each second look, which follows a success at once."""
    again = [False, *predict.successes[:-1]]
    return np.stack([image for image, second in zip(predict.shown, again, strict=True) if not second][1:])


def look_again(table, predict):
    """Show lane 0's winner again; behind one that fails the next counts, and behind the last the search goes on."""
    winner = int(table.winners[0])
    table.generations[0], table.winners[0] = ~table.generations[0], SIZE
    shown = np.full(table.rows, -1, np.int32)
    shown[0] = winner
    table.draw(shown)
    table.judge(shown, predict(table.batch))
    later = np.flatnonzero(table.won[0]) > winner
    assert table.winners[0] == SIZE
    if later.any():
        table.winners[0] = np.flatnonzero(table.won[0])[later][0]
    else:
        table.select()
    table.advance()


@pytest.mark.parametrize("rows", [1, 5, 12])
def test_a_winner_that_fails_when_shown_again_is_an_ordinary_child(
    make_kernels, make_table, make_crops, make_fickle, rows
):
    image, settings, refuted = make_crops(1, 6, 7)[0], {"size": SIZE, "pixels": 2, "rows": rows, "last": LAST}, 0
    image[0, 0, 0] += (1 - int(image.astype(int).sum())) % 10  # no lucky one itself
    kernels_predict, attack_predict = make_fickle(), make_fickle()
    key = search_key(0, "de", 2, None, 0, image)
    table = make_table(make_kernels(32), image[None], [0], [0], [key], **settings)
    looks = []
    while (table.generations >= 0).any():
        for shown, batch in table.run(kernels_predict):
            looks += [batch[row].copy() for row in range(rows) if shown[row] >= 0]
        while table.winners[0] < SIZE:
            look_again(table, kernels_predict)
            refuted += 1
    search = {"pixels": 2, "population": SIZE, "generations": LAST}
    found = attack(attack_predict, image[None], [0], method="de", batch_size=1, **search)
    assert found.success.tolist() == [False]
    assert refuted == sum(attack_predict.successes) > 3
    assert np.array_equal(np.stack(looks), first_looks(attack_predict))
