"""Figures against their definitions, on records written by hand."""

import dataclasses

import numpy as np
import pytest

from pixelproof.attack.evaluation import Measured
from pixelproof.attack.evaluation.records import Record
from pixelproof.attack.evaluation.settings import Settings
from pixelproof.benchmarks.defense import PaperFigures, row
from pixelproof.benchmarks.gallery import success_positions
from pixelproof.models.data import ImageSet
from pixelproof.statistics import Share, wilson_interval

MANIFEST = {
    "classifier": {"name": "lenet", "weights_sha256": "1" * 64},
    "purifier": {"name": "median", "weights_sha256": None},
}


def record(image: int, *pixels: list[int], queries: int = 8, seconds: float = 0.5) -> Record:
    return Record(image, bool(pixels), list(pixels), [[255, 0, 0]] * len(pixels), queries, not pixels, seconds)


def bools(text: str) -> np.ndarray:
    return np.array([mark == "1" for mark in text])


@pytest.fixture
def measured() -> Measured:
    """Ten images, eight of them right, of which the purifier loses one (2); the first six that are right attacked.

    Four of them fall (0, 1, 3, 5), two of which stay fallen once purified (3, 5); 4, which withstood the attack, is
    wrong once purified too.
    """
    transferred = [
        record(0, [1, 2], queries=1),
        record(1, [1, 2], queries=3),
        record(2, queries=100),
        record(3, [0, 3], queries=5),
        record(4, queries=100),
        record(5, [3, 0], queries=7),
    ]
    lost = Record(2, True, [], [], 0, False, 0.0)
    adaptive = [lost, record(3, [0, 0], queries=40), *(record(image, queries=200) for image in (0, 1, 4, 5))]
    return Measured(
        settings=Settings(method="levels", images=6),
        manifest=MANIFEST,
        data=ImageSet(np.zeros((10, 4, 5, 3), np.uint8), np.zeros(10, np.int64), ("a", "b")),
        right=bools("1111110110"),
        kept=bools("1101111110"),
        chosen=np.arange(6),
        transferred=transferred,
        survived=bools("000111"),
        adaptive={each.image: each for each in adaptive},
        provider="CPUExecutionProvider",
        passed=True,
    )


def test_every_share_follows_its_definition(measured: Measured):
    figures = row(measured)
    assert figures.clean_accuracy == Share(8, 10)
    assert figures.attack_success == Share(4, 6)
    assert figures.success_after == Share(2, 6)  # 4 was not felled by the attack
    assert figures.defense_rate == Share(2, 4)
    assert figures.performance_loss == Share(1, 8)  # of all that are right; 6, which it mends, is not set off
    assert figures.n == 6


def test_an_image_that_the_purifier_alone_loses_counts_as_fallen(measured: Measured):
    assert row(measured).adaptive_success == Share(2, 6)


def test_every_share_has_its_wilson_interval(measured: Measured):
    figures = row(measured)
    shares = [getattr(figures, field.name) for field in dataclasses.fields(figures)]
    shares = [share for share in shares if isinstance(share, Share)]
    assert len(shares) == 6
    for share in shares:
        assert (share.low, share.high) == wilson_interval(share.count, share.n)
        assert share.low < share.value < share.high


def test_queries_and_seconds_are_of_all_attacked_images(measured: Measured):
    figures = row(measured)
    assert (figures.queries_median, figures.queries_p90) == (6, 100)
    assert (figures.adaptive_queries_median, figures.adaptive_queries_p90) == (200, 200)
    assert figures.seconds_per_image == 0.5
    assert figures.adaptive_seconds_per_image == pytest.approx(2.5 / 6)


def test_the_row_says_what_was_measured_beside_the_papers_figures(measured: Measured):
    figures = row(measured)
    assert (figures.classifier, figures.purifier, figures.method, figures.pixels) == ("lenet", "median", "levels", 1)
    assert figures.paper == PaperFigures(0.612, 0.217, 395 / 612, 151 / 783)
    own = dataclasses.replace(
        measured, manifest=MANIFEST | {"classifier": {"name": "own.onnx", "weights_sha256": "2" * 64}}
    )
    assert row(own).paper is None
    three = dataclasses.replace(measured, settings=dataclasses.replace(measured.settings, pixels=3))
    assert row(three).paper is None  # its table is of one


def test_without_the_adaptive_attack_its_figures_are_left_out(measured: Measured):
    figures = row(dataclasses.replace(measured, adaptive=None))
    assert figures.attack_success == Share(4, 6)
    adaptive = (figures.adaptive_success, figures.adaptive_queries_median, figures.adaptive_queries_p90)
    assert (*adaptive, figures.adaptive_seconds_per_image) == (None, None, None, None)


def test_where_no_attack_succeeds_there_is_no_defense_rate(measured: Measured):
    failures = [record(each.image) for each in measured.transferred]
    figures = row(dataclasses.replace(measured, transferred=failures))
    assert (figures.attack_success, figures.success_after) == (Share(0, 6), Share(0, 6))
    assert (figures.defense_rate.n, figures.defense_rate.value) == (0, None)


def test_positions_count_the_successful_pixels_of_either_protocol(measured: Measured):
    transfer, adaptive = success_positions(measured)
    assert (transfer.classifier, transfer.purifier, transfer.protocol) == ("lenet", None, "transfer")
    assert (adaptive.classifier, adaptive.purifier, adaptive.protocol) == ("lenet", "median", "adaptive")
    assert transfer.size == adaptive.size == (4, 5)
    assert transfer.counts == ((0, 0, 0, 1, 0), (0, 0, 2, 0, 0), (0,) * 5, (1, 0, 0, 0, 0))
    assert adaptive.counts == ((1, 0, 0, 0, 0), *((0,) * 5,) * 3)


def test_several_pixels_of_one_image_count_each(measured: Measured):
    found = [record(0, [0, 0], [2, 4]), record(1, [2, 4], [2, 4])]  # of one pixel repeated, one was changed
    (transfer,) = success_positions(dataclasses.replace(measured, transferred=found, adaptive=None))
    assert transfer.counts == ((1, 0, 0, 0, 0), (0,) * 5, (0, 0, 0, 0, 2), (0,) * 5)
