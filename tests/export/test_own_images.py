"""One's own images, real ones: the shipped sample written as files, of all kinds and sizes where it is to be fitted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pixelproof.errors import DataError, UsageError
from pixelproof.export.own_images import calibration_images, fit_images, labeled_images
from pixelproof.models.data import sample
from pixelproof.runtime.images import read_images

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


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Photographs of two classes, in several sizes and formats, and what is no image."""
    folder = tmp_path / "mine"
    photographs = [Image.fromarray(image) for image in sample().images[:4]]
    for name, image in {
        "cat/tall.jpg": photographs[0].resize((20, 40)),
        "cat/tall.png": photographs[1].convert("L"),
        "ship/wide.webp": photographs[2].resize((64, 24)),
        "ship/deeper/clear.png": photographs[3].convert("RGBA"),
        ".thumbnails/a.png": photographs[0],
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
    (folder / "ship" / "notes.txt").write_text("taken in May")
    return folder


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_keeps_its_subfolders_and_says_what_it_left_out(mine: Path, tmp_path: Path):
    told: list[tuple[int, int]] = []
    count, left_out = fit_images([mine], (24, 30), tmp_path / "fit", progress=lambda *far: told.append(far))
    assert count == 4
    assert written(tmp_path / "fit") == ["cat/tall-2.png", "cat/tall.png", "ship/deeper/clear.png", "ship/wide.png"]
    assert left_out == [f"'{mine}/ship/notes.txt' is not an image that Pillow can read"]
    assert told == [(done, 5) for done in range(1, 6)]
    paths = [tmp_path / "fit" / name for name in written(tmp_path / "fit")]
    assert read_images(paths, (24, 30)).shape == (4, 24, 30, 3)


def test_what_is_fit_is_taken_as_ones_own_data_set(mine: Path, tmp_path: Path):
    (mine / "ship" / "deeper" / "clear.png").rename(mine / "ship" / "clear.png")
    (mine / "ship" / "deeper").rmdir()
    fit_images([mine], (32, 32), tmp_path / "fit")
    assert len(labeled_images(tmp_path / "fit", ("cat", "ship"), (32, 32)).images) == 4


def test_one_that_fits_already_stays_as_it_is(tmp_path: Path):
    image = sample().images[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    for crop in (False, True):
        fit_images([tmp_path / "a.png"], (32, 32), tmp_path / f"fit-{crop}", crop=crop)
        np.testing.assert_array_equal(read_images([tmp_path / f"fit-{crop}" / "a.png"], (32, 32))[0], image)


def test_cropped_the_middle_stays_and_nothing_is_squeezed(tmp_path: Path):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    fit_images([tmp_path / "wide.png"], (8, 8), tmp_path / "cropped", crop=True)
    fit_images([tmp_path / "wide.png"], (8, 8), tmp_path / "squeezed")
    assert (read_images([tmp_path / "cropped" / "wide.png"], (8, 8)) == 255).all()
    squeezed = read_images([tmp_path / "squeezed" / "wide.png"], (8, 8))[0]
    assert squeezed[:, 0].max() < 30
    assert squeezed[:, 4].min() > 220


def test_images_of_one_name_are_all_kept(tmp_path: Path):
    sources = [tmp_path / folder / "a.png" for folder in "xyz"]
    for source, image in zip(sources, sample().images, strict=False):
        source.parent.mkdir()
        Image.fromarray(image).save(source)
    assert fit_images(sources, (32, 32), tmp_path / "fit") == (3, [])
    fit = read_images([tmp_path / "fit" / name for name in ("a.png", "a-2.png", "a-3.png")], (32, 32))
    np.testing.assert_array_equal(fit, sample().images[:3])


def test_linked_folders_are_folders_and_a_circle_ends(mine: Path, tmp_path: Path):
    (mine / "truck").symlink_to(mine / "cat")
    (mine / "ship" / "deeper" / "back").symlink_to(mine)
    fit_images([mine], (8, 8), tmp_path / "fit")
    names = ["cat/tall-2.png", "cat/tall.png", "ship/deeper/clear.png", "ship/wide.png"]
    assert written(tmp_path / "fit") == [*names, "truck/tall-2.png", "truck/tall.png"]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_levels_of_no_known_range_are_left_out(mine: Path, tmp_path: Path, mode: str):
    Image.fromarray(np.full((8, 8), 30000, np.int32 if mode == "I" else np.float32)).save(mine / "cat" / "wide.tiff")
    count, left_out = fit_images([mine / "cat"], (8, 8), tmp_path / "fit")
    assert (count, left_out) == (2, [f"'{mine}/cat/wide.tiff' has values of no known range (mode {mode})"])


@pytest.mark.parametrize("orientation", range(2, 9))
def test_each_orientation_is_turned_as_pillow_turns_it(tmp_path: Path, orientation: int):
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(sample().images[0][:, :20]).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        upright = ImageOps.exif_transpose(image)
    fit_images([tmp_path / "a.png"], upright.size[::-1], tmp_path / "fit")
    np.testing.assert_array_equal(read_images([tmp_path / "fit" / "a.png"], upright.size[::-1])[0], np.asarray(upright))


def test_what_cannot_be_is_told_and_leaves_nothing(mine: Path, tmp_path: Path):
    before = written(tmp_path)
    with pytest.raises(UsageError, match=r"mine' exists already\. Next: choose another folder with -o"):
        fit_images([mine], (8, 8), mine)
    with pytest.raises(UsageError, match=r"cat' is a folder, and 2 sources were named\. Next: name one folder"):
        fit_images([mine / "cat", mine / "ship"], (8, 8), tmp_path / "fit")
    for sources in ([tmp_path / "none"], [mine / "cat" / "tall.png", tmp_path / "none"]):
        with pytest.raises(UsageError, match=r"there is no image '.*none'\. Next: check the name"):
            fit_images(sources, (8, 8), tmp_path / "fit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"there is no image in .*empty: '.*empty' is empty\. Next: "):
        fit_images([tmp_path / "empty"], (8, 8), tmp_path / "fit")
    assert written(tmp_path) == before
    assert not (tmp_path / "fit").exists()
