"""`Memoized` returns what classifying every purified image would return, and classifies fewer."""

import numpy as np
import pytest

from pixelproof.attack import Memoized, attack
from pixelproof.attack.predictors import memoized
from pixelproof.errors import PixelproofError, UsageError


def coarse(images):
    """A purifier that maps many images to one: three levels a channel are left."""
    return images // 86 * 86


def direct(classifier):
    return lambda images: classifier(coarse(images))


@pytest.fixture
def searched(make_crops, make_classifier):
    """A classifier and batches as a search shows them: images with a pixel changed, many purified alike."""
    images, classifier = make_crops(6, 8, 7), make_classifier(8, 7, seed=5)
    random, batches = np.random.default_rng(0), []
    for _ in range(20):
        batch = images[random.integers(0, 6, 50)].copy()
        batch[np.arange(50), random.integers(0, 8, 50), random.integers(0, 7, 50)] = random.integers(0, 256, (50, 3))
        batches.append(batch)
    return classifier, batches


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("remembered", [0, 1, 20, 8192])
def test_gives_exactly_what_classifying_each_purified_image_gives(searched, batch_size, remembered):
    classifier, batches = searched
    by_memo = Memoized(coarse, classifier, batch_size=batch_size, remembered=remembered)
    for batch in batches:
        answer = by_memo(batch)
        assert answer.dtype == np.float32
        assert np.array_equal(answer, direct(classifier)(batch))
    assert by_memo.asked == 1000


def test_a_classifier_may_answer_in_the_same_array_each_time(searched):
    classifier, batches = searched
    answer = np.empty((7, 4), np.float32)

    def reusing(batch):
        answer[:] = classifier(batch)
        return answer

    by_memo = Memoized(coarse, reusing, batch_size=7)
    for batch in batches:
        assert np.array_equal(by_memo(batch), direct(classifier)(batch))


def test_each_purified_image_is_classified_once(searched):
    classifier, batches = searched
    by_memo = Memoized(coarse, classifier)
    for batch in batches:
        by_memo(batch)
    different = {image.tobytes() for batch in batches for image in coarse(batch)}
    assert by_memo.classified == len(different) < 1000
    by_memo(np.concatenate(batches))  # more than a batch of it holds, and nothing new
    assert by_memo.asked == 2000
    assert by_memo.classified == len(different)


def test_within_a_call_nothing_is_classified_twice_though_nothing_is_remembered(searched):
    classifier, batches = searched
    by_memo = Memoized(coarse, classifier, remembered=0)
    by_memo(batches[0])
    different = len({image.tobytes() for image in coarse(batches[0])})
    assert by_memo.classified == different
    by_memo(batches[0])
    assert by_memo.classified == 2 * different


def test_fewer_large_images_are_remembered(make_images, make_classifier, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memoized, "_MOST_BYTES", 2 * 27 + 1)  # two images of 3x3 fit
    first, second, third = make_images(3, 3, 3)[:, None]
    by_memo = Memoized(lambda images: images, make_classifier(3, 3))
    for image, classified in [(first, 1), (second, 2), (first, 2), (third, 3), (second, 4)]:
        by_memo(image)
        assert by_memo.classified == classified


def test_the_classifier_sees_batches_of_one_shape(searched, make_classifier):
    _, batches = searched
    classifier = make_classifier(8, 7)
    by_memo = Memoized(coarse, classifier, batch_size=9)
    for size in (50, 1, 9, 10):
        by_memo(batches[0][:size])
    assert classifier.shapes == {(9, 8, 7, 3)}


@pytest.mark.parametrize("method", ["levels", "de"])
def test_an_attack_finds_the_same_through_it_with_fewer_images_classified(
    make_crops, make_classifier, same_outcomes, method
):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    labels = direct(classifier)(images).argmax(axis=1)
    by_memo, parameters = Memoized(coarse, classifier), {"generations": 5} if method == "de" else {}
    plain = attack(direct(classifier), images, labels, method=method, **parameters)
    assert 0 < plain.success.sum() < 12
    same_outcomes(plain, attack(by_memo, images, labels, method=method, **parameters))
    assert by_memo.classified < by_memo.asked / 2


def test_lenet_behind_the_median_answers_alike_with_less_work(lenet, lenet_images, same_outcomes):
    torch = pytest.importorskip("torch")
    from pixelproof.models import build_purifier

    median = build_purifier("median")

    @torch.no_grad()
    def purify(images):
        levels = median(torch.from_numpy(images).permute(0, 3, 1, 2).float())
        return levels.permute(0, 2, 3, 1).to(torch.uint8).numpy()

    images, labels = (each[:2] for each in lenet_images)
    colors = np.broadcast_to(np.array([[0] * 3, [255] * 3], np.uint8), (2, 32, 32, 2, 3))
    by_memo = Memoized(purify, lenet, batch_size=64)
    through = attack(by_memo, images, labels, colors=colors, batch_size=64)
    same_outcomes(attack(lambda batch: lenet(purify(batch)), images, labels, colors=colors, batch_size=64), through)
    assert through.attacked.any()
    assert by_memo.classified < 0.8 * by_memo.asked  # black and white are mostly replaced by the same


@pytest.mark.parametrize(
    ("purify", "words"),
    [
        (lambda images: images.astype(np.float32), r"purify gave float32 of shape \(2, 3, 4, 3\), expected uint8"),
        (lambda images: images[:1], r"shape \(1, 3, 4, 3\), expected uint8 of shape \(2, 3, 4, 3\)"),
    ],
)
def test_what_is_no_purified_batch_is_refused(make_images, never, purify, words):
    with pytest.raises(UsageError, match=f"{words}.*Next: .*without Memoized"):
        Memoized(purify, never)(make_images(2, 3, 4))


def test_nan_and_unfit_arguments_are_refused(make_images, never):
    broken = Memoized(lambda images: images, lambda images: never(images) * np.float32(np.nan), batch_size=5)
    with pytest.raises(PixelproofError, match=r"NaN in row 0 of 5.*Next: "):
        broken(make_images(2, 3, 4))
    for argument, words in (({"batch_size": 0}, "expected 1 to"), ({"remembered": -1}, "expected 0 to")):
        with pytest.raises(UsageError, match=rf"{next(iter(argument))} is .*{words}.*Next: "):
            Memoized(lambda images: images, never, **argument)
    with pytest.raises(UsageError, match=r"float64.*expected uint8"):
        Memoized(lambda images: images, never)(make_images(2, 3, 4) / 255)
