"""How `corners` and `levels` ask their order: of whom, when, and with what."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from pixelproof.attack import attack


@dataclass
class ReversedOrder:
    """The last candidate first; keeps what it was asked."""

    asked: list[tuple] = field(default_factory=list)

    def __call__(self, images, labels, colors, targets):
        self.asked.append((images, labels, colors, targets))
        count = colors[0, ..., 0].size
        return np.tile(np.arange(count)[::-1], (len(images), 1))


@pytest.fixture
def many(make_crops, make_classifier):
    """150 tiny images, every fifth one wrong from the start."""
    images, classifier = make_crops(150, 2, 3), make_classifier(2, 3)
    labels = classifier.labels(images)
    labels[::5] = (labels[::5] + 1) % 4
    return classifier, images, labels


@pytest.mark.parametrize("method", ["corners", "levels"])
@pytest.mark.parametrize("targeted", [False, True])
def test_an_order_is_told_images_labels_colors_and_targets_of_those_attacked(many, method, targeted):
    classifier, images, labels = many
    targets = (labels + 2) % 4 if targeted else None
    order, attacked = ReversedOrder(), np.arange(150) % 5 != 0
    found = attack(classifier, images, labels, method=method, order=order, targets=targets)
    assert np.array_equal(found.attacked, attacked)
    assert np.array_equal(np.concatenate([asked[0] for asked in order.asked]), images[attacked])
    assert np.array_equal(np.concatenate([asked[1] for asked in order.asked]), labels[attacked])
    for _, _, colors, asked_targets in order.asked:
        assert colors.shape[1:] == (2, 3, 8 if method == "corners" else 64, 3)
        assert (asked_targets is not None) == targeted
    if targeted:
        assert np.array_equal(np.concatenate([asked[3] for asked in order.asked]), targets[attacked])


def test_an_order_is_asked_of_a_few_images_at_a_time_when_they_are_about_to_be_searched(many):
    classifier, images, labels = many
    order, finished_when_asked, finished = ReversedOrder(), [], []

    def noting(*arguments):
        finished_when_asked.append(len(finished))
        return order(*arguments)

    attack(classifier, images, labels, order=noting, on_finished=finished.append, batch_size=8)
    assert max(len(asked[0]) for asked in order.asked) < 120
    assert finished_when_asked == sorted(finished_when_asked)
    assert finished_when_asked[0] == 30  # those not attacked
    assert finished_when_asked[1] > 30


def test_a_listed_color_of_an_image_that_is_not_attacked_is_asked_for_at_most_once(many):
    classifier, images, labels = many
    asked = []

    def inverted(some):
        asked.extend(image.tobytes() for image in some)
        return (255 - some)[:, :, :, None]

    attack(classifier, images, labels, colors=inverted)
    needed = [image.tobytes() for image in images[np.arange(150) % 5 != 0]]
    assert asked == [images[0].tobytes(), *needed]  # the first image is looked at before anything else: its shape


def test_the_reversed_order_ends_with_what_the_natural_one_begins_with(many):
    classifier, images, labels = many
    backwards = attack(classifier, images, labels, order=ReversedOrder())
    forwards = attack(classifier, images, labels)
    assert np.array_equal(backwards.success, forwards.success)  # the set is the same
    both = forwards.success
    assert (backwards.queries[both] != forwards.queries[both]).any()
    last = 48 + 1 - forwards.queries[both]  # the first success of one order is the last of the other
    assert (backwards.queries[both] <= last).all()
