"""Fetching an archive that is whole, damaged, or made to write where it should not."""

import hashlib
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pixelproof.errors import DataError, Interrupted, UsageError
from pixelproof.models.data import data_sha256
from pixelproof.models.data.cifar10 import FILE_NBYTES, FOLDER, locate
from pixelproof.models.data.fetch import SHA256, fetch_cifar10

FILES = {"data_batch_1.bin": b"first" * 30_000, "test_batch.bin": b"test" * 30_000, "batches.meta.txt": b"frog\n"}
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


FILE_MEMBERS = [(f"{FOLDER}/{name}", content) for name, content in FILES.items()]
MEMBERS = [member(FOLDER, tarfile.DIRTYPE), *FILE_MEMBERS, (f"{FOLDER}/readme.html", b"<a>")]


@pytest.fixture
def archive(tar_gz) -> bytes:
    content: bytes = tar_gz(*MEMBERS)
    return content


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def fetch(home: Path) -> Callable[..., Path]:
    def run(url: str, **options) -> Path:
        return fetch_cifar10(home, url=url, sha256=HASHES, pause_s=0, **options)

    return run


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_every_file_arrives_and_nothing_else(serve, fetch, home: Path, archive: bytes):
    folder = fetch(serve(archive).url)
    assert folder == home / FOLDER == locate(home)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert tree(home) == sorted([FOLDER, *(f"{FOLDER}/{name}" for name in FILES)])


def test_others_may_read_what_was_fetched(serve, fetch, archive: bytes, tmp_path: Path):
    plain = tmp_path / "plain"
    plain.mkdir()
    assert stat.S_IMODE(fetch(serve(archive).url).stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_whole_folder_is_not_fetched_again(serve, fetch, archive: bytes):
    site = serve(archive)
    assert fetch(site.url) == fetch(site.url)
    assert len(site.ranges) == 1


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"cut"), lambda file: file.unlink()])
def test_a_damaged_folder_is_replaced(serve, fetch, archive: bytes, damage):
    site = serve(archive)
    folder = fetch(site.url)
    damage(folder / "test_batch.bin")
    assert {path.name: path.read_bytes() for path in fetch(site.url).iterdir()} == FILES


def test_a_folder_with_files_of_someone_else_stays(serve, fetch, home: Path, archive: bytes):
    (home / FOLDER).mkdir(parents=True)
    (home / FOLDER / "notes.txt").write_text("mine")
    site = serve(archive)
    with pytest.raises(UsageError, match=r"holds other files too, such as 'notes.txt'"):
        fetch(site.url)
    assert tree(home) == [FOLDER, f"{FOLDER}/notes.txt"]
    assert site.ranges == []


def test_a_file_in_the_way_stays(serve, fetch, home: Path, archive: bytes):
    home.mkdir()
    (home / FOLDER).write_text("mine")
    with pytest.raises(UsageError, match="in the way"):
        fetch(serve(archive).url)
    assert (home / FOLDER).read_text() == "mine"


def test_after_ctrl_c_the_same_call_goes_on(serve, fetch, home: Path, archive: bytes):
    def press_ctrl_c(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    site = serve(archive)
    with pytest.raises(Interrupted, match=r"kept in '.*\.part'\. Next: the same command goes on"):
        fetch(site.url, progress=press_ctrl_c)
    (part,) = home.iterdir()
    assert archive.startswith(part.read_bytes())
    fetch(site.url)
    assert site.ranges == [None, f"bytes={len(archive)}-"]  # so small an archive had come in one chunk
    assert tree(home) == sorted([FOLDER, *(f"{FOLDER}/{name}" for name in FILES)])


def corrupted(archive: bytes, place: float) -> bytes:
    start = int(place * len(archive))
    return archive[:start] + bytes(byte ^ 0xFF for byte in archive[start : start + 20]) + archive[start + 20 :]


WRONG_HASH = (
    "'batches.meta.txt' .* expected SHA-256 "
    f"{HASHES['batches.meta.txt']}, got {hashlib.sha256(b'toad' + bytes([10])).hexdigest()}"
)
UNFIT: dict[str, tuple[Callable[..., bytes], str]] = {
    "corrupted at its start": (lambda archive, _: corrupted(archive, 0), "damaged"),
    "corrupted in the middle": (lambda archive, _: corrupted(archive, 0.5), "damaged"),
    "corrupted near its end": (lambda archive, _: corrupted(archive, 0.9), "damaged"),
    "no archive": (lambda *_: b"<html>no such page</html>", r"is no \.tar\.gz"),
    "empty": (lambda *_: b"", r"is no \.tar\.gz"),
    "of another hash": (lambda _, tar_gz: tar_gz(*MEMBERS[:-2], (f"{FOLDER}/batches.meta.txt", b"toad\n")), WRONG_HASH),
    "without a file": (
        lambda _, tar_gz: tar_gz(FILE_MEMBERS[0], FILE_MEMBERS[2]),
        r"the archive has no 'test_batch\.bin'",
    ),
}


@pytest.mark.parametrize(("made", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_archive_leaves_nothing(made, message: str, serve, fetch, home: Path, archive: bytes, tar_gz):
    with pytest.raises(DataError, match=message):
        fetch(serve(made(archive, tar_gz)).url)
    assert tree(home) == []


def test_damage_leaves_the_old_folder_as_it_was(serve, fetch, home: Path, archive: bytes):
    folder = fetch(serve(archive).url)
    (folder / "test_batch.bin").unlink()
    before = tree(home)
    with pytest.raises(DataError):
        fetch(serve(archive[:-300]).url)
    assert tree(home) == before


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        ([("../evil", b"x")], "file '../evil'"),
        ([(f"{FOLDER}/../../evil", b"x")], "file '.*/evil'"),
        ([("{outside}/evil", b"x")], "file '/.*/evil'"),
        ([member(f"{FOLDER}/test_batch.bin", tarfile.SYMTYPE, "{outside}/evil")], "link '.*test_batch.bin'"),
        ([member(f"{FOLDER}/test_batch.bin", tarfile.LNKTYPE, "{outside}/evil")], "link '.*test_batch.bin'"),
        ([member(f"{FOLDER}/up", tarfile.SYMTYPE, ".."), (f"{FOLDER}/up/evil", b"x")], "link '.*/up'"),
        ([member(FOLDER, tarfile.SYMTYPE, "{outside}"), (f"{FOLDER}/evil", b"x")], f"link '{FOLDER}'"),
        ([member(f"{FOLDER}/test_batch.bin", tarfile.FIFOTYPE)], "device '.*test_batch.bin'"),
        ([member(f"{FOLDER}/test_batch.bin", tarfile.CHRTYPE)], "device '.*test_batch.bin'"),
        ([member(f"{FOLDER}/evil", tarfile.DIRTYPE)], "folder '.*evil'"),
        ([(f"{FOLDER}/evil", b"x")], "file '.*evil'"),
        ([("evil/test_batch.bin", FILES["test_batch.bin"])], "file 'evil/test_batch.bin'"),
        ([("test_batch.bin", FILES["test_batch.bin"])], "file 'test_batch.bin'"),
        ([(f"{FOLDER}/test_batch.bin", bytes(FILE_NBYTES + 1))], "30,730,001 bytes, expected at most 30,730,000"),
    ],
)
def test_a_hostile_archive_is_refused_and_writes_nothing(
    serve, fetch, home: Path, tmp_path: Path, tar_gz, hostile: list, message: str
):
    members = [placed(entry, str(tmp_path)) for entry in hostile]
    with pytest.raises(DataError, match=f"the archive was refused: its .*{message}"):
        fetch(serve(tar_gz(FILE_MEMBERS[0], *members, *FILE_MEMBERS)).url)
    assert tree(tmp_path) == [home.name]


def placed(entry: tuple[str, bytes] | tarfile.TarInfo, outside: str) -> tuple[str, bytes] | tarfile.TarInfo:
    if isinstance(entry, tarfile.TarInfo):
        return member(entry.name, entry.type, entry.linkname.replace("{outside}", outside))
    return entry[0].replace("{outside}", outside), entry[1]


def test_the_official_hashes_are_those_of_the_data_set_here():
    try:
        found = data_sha256()
    except DataError as error:
        pytest.skip(f"needs the data set ({error})")
    assert found == {name: value for name, value in SHA256.items() if name.endswith(".bin")}
