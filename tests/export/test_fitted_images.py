"""Images of all kinds and sizes become what a bundle takes, in the folders that they were in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pixelproof.errors import UsageError
from pixelproof.export.own_images import fit_images, labeled_images
from pixelproof.models.data import sample
from pixelproof.runtime.images import read_images


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
    assert (count, left_out) == (2, [f"'{mine}/cat/wide.tiff' has levels of no known range (mode {mode})"])


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
