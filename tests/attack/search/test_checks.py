"""Whatever does not fit is refused with what was got, what is expected and the next step."""

import numpy as np
import pytest

from pixelproof.attack import Corners, attack
from pixelproof.attack.search.checks import checked_classes
from pixelproof.errors import PixelproofError, UsageError

IMAGES = np.zeros((2, 3, 4, 3), np.uint8)
RAGGED = [np.zeros((3, 4, 3), np.uint8), np.zeros((3, 5, 3), np.uint8)]
COLORS = np.zeros((2, 3, 4, 5, 3), np.uint8)

UNFIT = [
    ({"images": IMAGES / 255}, r"images has dtype float64 .*expected uint8 of shape \(n, H, W, 3\)"),
    ({"images": IMAGES.astype(np.int64)}, r"images has dtype int64 .*expected uint8"),
    ({"images": IMAGES[0]}, r"images has .*shape \(3, 4, 3\), expected .*\(n, H, W, 3\)"),
    ({"images": IMAGES.transpose(0, 3, 1, 2)}, r"shape \(2, 3, 3, 4\), expected .*\(n, H, W, 3\)"),
    ({"images": IMAGES[:0], "labels": []}, r"no image to attack.*shape \(0, 3, 4, 3\), expected n, H, W >= 1"),
    ({"images": IMAGES[:, :0]}, r"no image to attack.*shape \(2, 0, 4, 3\)"),
    ({"images": RAGGED}, r"images is a list of parts that differ in shape, expected uint8"),
    ({"images": None}, r"images has dtype object and shape \(\), expected uint8"),
    ({"labels": [0]}, r"labels has .*shape \(1,\), expected integers of shape \(2,\)"),
    ({"labels": [[0], [0]]}, r"labels has .*shape \(2, 1\), expected integers of shape \(2,\)"),
    ({"labels": [0.0, 0.0]}, r"labels has dtype float64 .*expected integers"),
    ({"labels": [False, True]}, r"labels has dtype bool .*expected integers"),
    ({"labels": ["cat", "dog"]}, r"labels has dtype <U3 .*expected integers"),
    ({"labels": [0, -1]}, r"labels has -1, expected classes from 0"),
    ({"labels": np.array([0, -1]).astype(np.uint64)}, r"labels has 18446744073709551615, expected classes from 0"),
    ({"labels": [[0], [0, 1]]}, r"labels is a list of parts that differ in shape, expected integers"),
    ({"labels": [0, 3]}, r"labels has class 3 \(image 1\), but predict knows 3 classes, 0 to 2"),
    ({"targets": 3}, r"targets has class 3 \(image 0\), but predict knows 3 classes, 0 to 2"),
    ({"targets": [1, 7]}, r"targets has class 7 \(image 1\), but predict knows 3 classes"),
    ({"targets": -1}, r"targets has -1, expected classes from 0"),
    ({"targets": [1]}, r"targets has .*shape \(1,\), expected integers of shape \(2,\)"),
    ({"targets": 1.0}, r"targets has dtype float64 .*expected integers"),
    ({"targets": 0}, r"image 0 is to be taken for class 0, which is its label; expected another .*\(2 such images\)"),
    ({"targets": [1, 0]}, r"image 1 is to be taken for class 0, which is its label.*leave out the images"),
    ({"pixels": 0}, r"pixels is 0, expected 1 to 12"),
    ({"pixels": 13}, r"pixels is 13, expected 1 to 12"),
    ({"pixels": 1.0}, r"pixels is 1\.0, expected an integer from 1 to 12"),
    ({"seed": -1}, r"seed is -1, expected 0 to 9223372036854775807"),
    ({"seed": 2**63}, r"seed is 9223372036854775808, expected 0 to 9223372036854775807"),
    ({"seed": None}, r"seed is None, expected an integer"),
    ({"batch_size": 0}, r"batch_size is 0, expected 1 to"),
    ({"batch_size": "64"}, r"batch_size is '64', expected an integer"),
    ({"predict": None}, r"predict is None, expected a function"),
    ({"progress": True}, r"progress is True, expected a function"),
    ({"on_finished": []}, r"on_finished is \[\], expected a function"),
    ({"method": "cornes"}, r"unknown attack method 'cornes'; did you mean 'corners'\? there are: corners, de, levels"),
    ({"method": None}, r"unknown attack method 'None'.*there are: corners, de, levels"),
    ({"method": Corners}, r"unknown attack method '.*Corners'.*there are: corners, de, levels"),
    ({"method": Corners(), "low": 3}, r"a method that is made already takes no low\. Next: Corners\(\.\.\.\)"),
    ({"lows": 3}, r"unknown parameter of method 'corners' 'lows'; did you mean 'low'\? .*colors, high, low, order"),
    ({"population": 9}, r"unknown parameter of method 'corners' 'population'.*there are: colors, high, low, order"),
    ({"method": "de", "populaton": 9}, r"'populaton'; did you mean 'population'\?"),
    ({"method": "levels", "colors": COLORS}, r"unknown parameter of method 'levels' 'colors'"),
    ({"method": "levels", "levels": 1}, r"levels is 1, expected 2 to 16"),
    ({"method": "levels", "levels": 17}, r"levels is 17, expected 2 to 16"),
    ({"method": "de", "population": 3}, r"population is 3, expected 4 to"),
    ({"method": "de", "generations": -1}, r"generations is -1, expected 0 to"),
    ({"method": "de", "factor": 0}, r"factor is 0, expected a number above 0, at most 2"),
    ({"method": "de", "factor": 2.5}, r"factor is 2\.5, expected a number above 0, at most 2"),
    ({"method": "de", "factor": float("nan")}, r"factor is nan, expected a number"),
    ({"method": "de", "factor": "0.5"}, r"factor is '0\.5', expected a number"),
    ({"low": 200, "high": 100}, r"low is 200, above high, 100, at \(image, row, column, channel\) \(0, 0, 0, 0\)"),
    ({"low": [0, 9, 0], "high": [0, 8, 0]}, r"low is 9, above high, 8, at .* \(0, 0, 0, 1\)"),
    ({"low": -1}, r"low goes from -1 to -1, expected 0 to 255"),
    ({"high": 256}, r"high goes from 256 to 256, expected 0 to 255"),
    ({"high": 1.0}, r"high has dtype float64 .*expected integers that broadcast to \(2, 3, 4, 3\)"),
    ({"low": [1, 2]}, r"low has .*shape \(2,\), expected integers that broadcast to \(2, 3, 4, 3\)"),
    ({"method": "levels", "low": [[1], [1, 2]]}, r"low is a list of parts that differ in shape, expected integers"),
    ({"colors": COLORS[:1]}, r"colors has .*shape \(1, 3, 4, 5, 3\), expected uint8 of shape \(2, 3, 4, C, 3\)"),
    ({"colors": COLORS[:, :, :, :0]}, r"shape \(2, 3, 4, 0, 3\), expected .*C >= 1"),
    ({"colors": COLORS / 1}, r"colors has dtype float64"),
    ({"colors": lambda images: COLORS[:0]}, r"colors has .*shape \(0, 3, 4, 5, 3\), expected .*\(1, 3, 4, C, 3\)"),
    ({"colors": COLORS, "low": 1}, r"colors and a box \(low, high\) were both given"),
    ({"order": "sweep"}, r"order is 'sweep', expected a function"),
    ({"order": lambda *_: np.zeros((2, 96), np.int64)}, r"order did not rank each of the 96 candidates once"),
    ({"order": lambda *_: np.arange(96)}, r"order gave int64 of shape \(96,\), expected .*\(2, 96\)"),
]


@pytest.mark.parametrize(("unfit", "words"), UNFIT, ids=[words[:40] for _, words in UNFIT])
def test_an_unfit_argument_is_refused_with_what_is_expected_and_the_next_step(never, unfit, words):
    arguments = {"predict": never, "images": IMAGES, "labels": [0, 0], **unfit}
    with pytest.raises(UsageError, match=words) as refusal:
        attack(arguments.pop("predict"), arguments.pop("images"), arguments.pop("labels"), **arguments)
    assert "Next: " in str(refusal.value)


@pytest.mark.parametrize("batches", [0, 2])  # at the first look, and later in the search
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda good: good.astype(np.float64), r"dtype float64 .*expected float32 probabilities of shape \(9, classes"),
        (lambda good: good[:-1], r"shape \(8, 3\), expected .*\(9, classes"),
        (lambda good: good[:, 0], r"shape \(9,\), expected .*\(9, classes"),
        (lambda good: good[:, :1], r"shape \(9, 1\), expected .*classes >= 2"),
        (lambda good: good.tolist(), r"answer is a builtins\.list, expected a NumPy array: float32"),
        (lambda good: None, r"answer is a builtins\.NoneType, expected a NumPy array"),
        (
            np.log,
            r"answer goes from -2\.303 to -0\.3567, and probabilities from 0 to 1; logits would",
        ),
        (lambda good: good * np.float32(9), r"answer goes from 0\.9 to 6\.3, and probabilities"),
        (lambda good: good * np.float32(np.inf), r"answer goes from inf to inf, and probabilities"),
        (lambda good: np.where(np.arange(9)[:, None] == 4, np.float32(np.nan), good), r"NaN in row 4 of 9.*weights"),
    ],
)
def test_an_unfit_answer_of_predict_is_refused(never, batches, answer, words):
    shown = []

    def predict(images):
        shown.append(images)
        return answer(never(images)) if len(shown) > batches else never(images)

    with pytest.raises(PixelproofError, match=f"^predict.*{words}") as refusal:
        attack(predict, IMAGES, [0, 0], batch_size=9)
    assert "Next: " in str(refusal.value)
    assert len(shown) == batches + 1


def test_what_rounding_leaves_beside_0_and_1_is_put_up_with(never):
    found = attack(lambda images: never(images) * 0 + np.float32([1.0000001, -1.2e-7, 0]), IMAGES, [0, 0], batch_size=9)
    assert found.exhausted.all()


@pytest.mark.parametrize("factor", [0.5, 0])
def test_probabilities_that_do_not_add_up_are_refused_at_the_first_look(never, factor):
    with pytest.raises(UsageError, match=rf"image 0 adds up to {factor:g}, and probabilities to 1.*softmax"):
        attack(lambda images: never(images) * np.float32(factor), IMAGES, [0, 0], batch_size=9)


def test_a_refusal_costs_no_query(record, never):
    for unfit in ({"method": "cornes"}, {"low": 9, "high": 8}, {"pixels": 0}, {"targets": 0}, {"order": "sweep"}):
        shown = record(never)
        with pytest.raises(UsageError):
            attack(shown, IMAGES, [0, 0], **unfit)
        assert not shown.batches


def test_an_unknown_method_or_parameter_names_how_to_read_on(never):
    for unfit in ({"method": "x"}, {"x": 1}):
        with pytest.raises(UsageError, match=r"Next: python -c .*help\(attack\)"):
            attack(never, IMAGES, [0, 0], **unfit)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_classes_may_be_any_integers(dtype):
    checked = checked_classes("labels", np.array([3, 0, 7], dtype), 3)
    assert checked.dtype == np.int64
    assert checked.tolist() == [3, 0, 7]


@pytest.mark.parametrize("factor", [1, 2, np.float32(0.5), np.float64(0.25)])
def test_a_differential_weight_may_be_any_number_in_its_range(never, factor):
    found = attack(never, IMAGES, [0, 0], method="de", factor=factor, population=4, generations=1)
    assert found.queries.tolist() == [8, 8]
