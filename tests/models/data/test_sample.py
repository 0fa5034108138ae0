"""The 200 images that are shipped, and the function that chose them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import pixelproof.models
from pixelproof.errors import DataError
from pixelproof.models.data import CIFAR10_CLASSES, ImageSet, load_cifar10, sample, training_sample
from pixelproof.models.data.sample import sample_indices, write_sample


def test_the_sample_has_twenty_images_of_each_class():
    images = sample()
    assert (images.images.shape, images.images.dtype) == ((200, 32, 32, 3), np.uint8)
    assert images.labels.dtype == np.int64
    assert np.bincount(images.labels).tolist() == [20] * 10
    assert images.class_names == CIFAR10_CLASSES


def test_the_sample_is_in_the_test_sets_order():
    assert sample_indices() == sorted(set(sample_indices()))
    names = [CIFAR10_CLASSES[label] for label in sample().labels[:6]]
    assert names == ["cat", "ship", "ship", "airplane", "frog", "frog"]  # the test set's well-known beginning


def test_channels_are_red_green_blue_and_rows_run_down():
    car_before_a_red_wall = sample().images[6]
    assert car_before_a_red_wall[:16].mean((0, 1)).round().tolist() == [132, 48, 33]
    assert car_before_a_red_wall[16:].mean((0, 1)).round().tolist() == [80, 76, 84]


def test_the_sample_is_what_the_data_set_here_holds():
    try:
        test = load_cifar10("test")
    except DataError as error:
        pytest.skip(f"needs the data set ({error})")
    np.testing.assert_array_equal(test.take(np.array(sample_indices())).images, sample().images)


@pytest.fixture
def synthetic() -> ImageSet:
    random = np.random.default_rng(0)
    return ImageSet(random.integers(0, 256, (90, 32, 32, 3), np.uint8), random.integers(0, 10, 90), CIFAR10_CLASSES)


def test_writing_keeps_the_first_of_each_class_in_file_order(tmp_path: Path, synthetic: ImageSet):
    write_sample(synthetic, tmp_path, images_a_class=2)
    indices = np.array(sample_indices(tmp_path))
    assert indices.tolist() == sorted(
        index for label in range(10) for index in np.flatnonzero(synthetic.labels == label).tolist()[:2]
    )
    written = sample(tmp_path)
    np.testing.assert_array_equal(written.images, synthetic.images[indices])
    np.testing.assert_array_equal(written.labels, synthetic.labels[indices])


def test_writing_the_same_sample_gives_the_shipped_bytes(tmp_path: Path):
    write_sample(sample(), tmp_path)
    shipped = Path(pixelproof.models.__file__).parent / "sample" / "sample.bin"
    assert (tmp_path / "sample.bin").read_bytes() == shipped.read_bytes()


@pytest.mark.parametrize(("read", "name", "training"), [(sample, "sample", False), (training_sample, "training", True)])
def test_a_damaged_sample_says_expected_and_got(read, name: str, training: bool, tmp_path: Path, synthetic: ImageSet):
    write_sample(synthetic, tmp_path, training=training)
    assert len(read(tmp_path)) > 0
    content = bytearray((tmp_path / f"{name}.bin").read_bytes())
    content[5] ^= 1
    (tmp_path / f"{name}.bin").write_bytes(content)
    got = hashlib.sha256(content).hexdigest()
    with pytest.raises(
        DataError, match=rf"{name}\.bin' is damaged: expected SHA-256 [0-9a-f]{{64}}, got {got}. Next: "
    ):
        read(tmp_path)


def test_the_training_sample_shares_no_image_with_the_test_sample():
    training = training_sample()
    assert np.bincount(training.labels).tolist() == [20] * 10
    known = {image.tobytes() for image in sample().images}
    assert not any(image.tobytes() in known for image in training.images)
