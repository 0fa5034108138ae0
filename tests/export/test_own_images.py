"""One's own images from folders, real ones: the shipped sample written as files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelproof.errors import DataError, UsageError
from pixelproof.export.own_images import calibration_images, labeled_images
from pixelproof.models.data import sample

CLASSES = ("truck", "cat", "ship")


def labeled(root: Path, counts: dict[str, int], size: int = 24) -> Path:
    """A folder of shipped images, cut to `size`, so many a class."""
    data = sample()
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        mine = data.images[data.labels == data.class_names.index(name)][:count]
        for number, image in enumerate(mine):
            Image.fromarray(image[:size, :size]).save(root / name / f"{number}.png")
    return root


def test_classes_take_turns_and_labels_are_the_bundles(tmp_path: Path):
    root = labeled(tmp_path / "mine", {"cat": 3, "truck": 1, "ship": 2})
    (root / ".cache").mkdir()
    (root / "cat" / ".DS_Store").write_bytes(b"no image")
    (root / "notes.txt").write_text("none either")
    found = labeled_images(root, CLASSES, (24, 24))
    assert found.files == ("truck/0.png", "cat/0.png", "ship/0.png", "cat/1.png", "ship/1.png", "cat/2.png")
    assert found.images.labels.tolist() == [0, 1, 2, 1, 2, 1]
    assert found.images.class_names == CLASSES
    data = sample()
    cats = data.images[data.labels == data.class_names.index("cat")]
    assert np.array_equal(found.images.images[[1, 3, 5]], cats[:3, :24, :24])


def test_the_name_tells_other_images_and_other_labels_apart(tmp_path: Path):
    root = labeled(tmp_path / "mine", {"cat": 2, "ship": 1})
    first = labeled_images(root, CLASSES, (24, 24))
    assert first.name.startswith("3 images of folder 'mine' (SHA-256 ")
    assert labeled_images(root, CLASSES, (24, 24)).name == first.name
    assert labeled_images(root, CLASSES[::-1], (24, 24)).name != first.name
    Image.fromarray(first.images.images[1] ^ 1).save(root / "cat" / "1.png")
    assert labeled_images(root, CLASSES, (24, 24)).name != first.name


def test_what_does_not_fit_is_named(tmp_path: Path):
    root = labeled(tmp_path / "mine", {"cat": 1, "dog": 1})
    with pytest.raises(UsageError, match=r"unknown class in .*mine' 'dog'.* there are: cat, ship, truck. Next: rename"):
        labeled_images(root, CLASSES, (24, 24))
    with pytest.raises(UsageError, match=r"0.png' is 24x24, expected 8-bit RGB of 32x32"):
        labeled_images(root, (*CLASSES, "dog"), (32, 32))
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"the subfolders of .*empty' hold no images"):
        labeled_images(tmp_path / "empty", CLASSES, (24, 24))
    with pytest.raises(DataError, match=r"cat' holds neither CIFAR-10 nor a subfolder for each class.*/cat/truck/ and"):
        labeled_images(tmp_path / "empty" / "cat", CLASSES, (24, 24))
    (tmp_path / "mine" / "cat" / "young").mkdir()
    with pytest.raises(UsageError, match=r"young' is a folder within a class's"):
        labeled_images(root, (*CLASSES, "dog"), (24, 24))
    with pytest.raises(DataError, match=r"no CIFAR-10 in .*none'"):
        labeled_images(tmp_path / "none", CLASSES, (24, 24))


def test_calibration_takes_every_image_of_a_folder(tmp_path: Path):
    folder = labeled(tmp_path, {"ship": 4}) / "ship"
    found = calibration_images(folder, (24, 24))
    data = sample()
    ships = data.images[data.labels == data.class_names.index("ship")]
    assert np.array_equal(found.images, ships[:4, :24, :24])
    assert found.name == "4 images of folder 'ship'"
    nested = calibration_images(folder.parent, (24, 24))
    assert np.array_equal(nested.images, found.images)
    assert nested.name == f"4 images of folder '{folder.parent.name}'"
    (tmp_path / "empty" / "within").mkdir(parents=True)
    for wrong, message in (
        (tmp_path / "none", "there is no folder of images"),
        (tmp_path / "empty", "holds no images"),
    ):
        with pytest.raises(UsageError, match=message):
            calibration_images(wrong, (24, 24))
