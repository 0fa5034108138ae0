"""Whole searches of the kernels, many images at once, against `attack`: every image shown, and every outcome."""

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.search.randomness import search_key

ONE_BY_ONE = 1  # rows a batch of the reference: it is then shown the candidates in their order, and nothing else


def shown_by_kernels(table, predict):
    """For each lane, the images shown of its candidates in their order, up to its first success."""
    size, shown_of = table.sizes.size, [[] for _ in range(table.sizes.lanes)]
    for shown, batch in table.run(predict):
        for row, place in enumerate(shown.tolist()):
            if place >= 0 and table.generations[place // size] >= 0:
                shown_of[place // size].append(batch[row].copy())
    queries = [queries_of(table, lane) for lane in range(table.sizes.lanes)]
    return [np.stack(images[:count]) for images, count in zip(shown_of, queries, strict=True)], queries


def each_once(images):
    """The images in the order in which they come first."""
    _, first = np.unique(images, axis=0, return_index=True)
    return images[np.sort(first)]


def queries_of(table, lane):
    size, generation, winner = table.sizes.size, ~int(table.generations[lane]), int(table.winners[lane])
    return generation * size + min(winner + 1, size)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("pixels", "factor", "block", "rows"), [(1, 0.5, 128, 40), (3, 0.3, 33, 17), (5, 1.25, 1, 64), (1, 2.0, 1024, 1)]
)
def test_shows_what_the_attack_shows(
    make_kernels, make_table, make_classifier, make_crops, record, pixels, factor, block, rows, targeted
):
    size, generations, seed = 9, 12, 5
    images, classifier = make_crops(8, 8, 7), make_classifier(8, 7, seed=seed)
    probabilities = classifier(images)
    labels, runners_up = probabilities.argmax(axis=1), probabilities.argsort(axis=1)[:, -2]
    targets = runners_up.tolist() if targeted else [None] * 8
    keys = [search_key(seed, "de", pixels, *lane) for lane in zip(targets, labels.tolist(), images, strict=True)]
    table = make_table(
        make_kernels(block, backwards=targeted),
        images,
        np.arange(8),
        runners_up if targeted else labels,
        keys,
        size=size,
        pixels=pixels,
        rows=rows,
        factor=factor,
        last=generations,
        targeted=targeted,
    )
    shown_of, queries = shown_by_kernels(table, classifier)
    outcomes = set()
    for index, (image, label, target) in enumerate(zip(images, labels.tolist(), targets, strict=True)):
        shown = record(classifier)
        settings = {"pixels": pixels, "population": size, "generations": generations, "factor": factor, "seed": seed}
        found = attack(shown, image[None], [label], method="de", targets=target, batch_size=ONE_BY_ONE, **settings)
        success = bool(found.success[0])
        assert success == (table.winners[index] < size)
        assert found.queries.tolist() == [queries[index]]
        in_turn = shown.rows[1 : len(shown.rows) - success]  # less the second look
        once = each_once if pixels == 1 else np.asarray  # of one pixel, `attack` shows no candidate again
        assert np.array_equal(once(in_turn), once(shown_of[index]))
        outcomes.add(success)
    assert outcomes == {True, False}  # or half of the claim was not tried


def test_a_lane_takes_another_image_while_others_go_on(make_kernels, make_table, make_crops, never, record):
    images, size, last = make_crops(3, 5, 6), 6, 5
    keys = [search_key(0, "de", 2, None, 0, image) for image in images]
    settings = {"size": size, "pixels": 2, "rows": 5, "last": last}
    table = make_table(make_kernels(), images, [0, 1], [0, 0], keys[:2], **settings)
    shown_of = [[], [], []]
    for shown, batch in table.run(never):
        if shown[0] == 0 and table.generations.tolist() == [3, 3] and not shown_of[2]:  # in the midst of a search
            table.image_of[0], table.keys[0], table.generations[0] = 2, keys[2], 0
            table.propose()
            table.draw(shown)
        for row, place in enumerate(shown.tolist()):
            if place >= 0 and table.generations[place // size] >= 0:
                shown_of[table.image_of[place // size]].append(batch[row].copy())
    for index, image in enumerate(images):
        recorder = record(never)
        search = {"pixels": 2, "population": size, "generations": last}
        attack(recorder, image[None], [0], method="de", batch_size=ONE_BY_ONE, **search)
        count = len(shown_of[index])
        assert count == (3 if index == 0 else last + 1) * size
        assert np.array_equal(recorder.rows[1 : count + 1], np.stack(shown_of[index]))


def test_the_published_size_finds_what_the_attack_finds(make_kernels, make_table, make_classifier, make_crops):
    images, classifier = make_crops(6, 12, 11), make_classifier(12, 11, seed=2)
    labels = classifier.labels(images)
    found = attack(classifier, images, labels, method="de", generations=4)
    keys = [search_key(0, "de", 1, None, label, image) for label, image in zip(labels.tolist(), images, strict=True)]
    table = make_table(make_kernels(256), images, np.arange(6), labels, keys, size=400, pixels=1, rows=512, last=4)
    for _ in table.run(classifier):
        pass
    assert (table.winners < 400).tolist() == found.success.tolist()
    assert [queries_of(table, lane) for lane in range(6)] == found.queries.tolist()
    for lane in np.flatnonzero(found.success):
        row, column, *color = table.children[lane, table.winners[lane], 0]
        row, column = (int(np.clip(np.floor(at), 0, end)) for at, end in ((row, 11), (column, 10)))
        assert [row, column] == found.pixels[lane, 0].tolist()
        assert np.clip(np.floor(color), 0, 255).tolist() == found.colors[lane, 0].tolist()
