"""Downloads that break off, are refused, or meet a server without Range."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import ANY

import pytest

from pixelproof.errors import DataError, UsageError
from pixelproof.models.data.download import download

CONTENT = os.urandom(500_000)
HALF = len(CONTENT) // 2


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "archive.part"


@pytest.fixture
def get(part: Path) -> Callable[..., list[tuple[int, int | None]]]:
    """Download without pauses; the progress that was told."""

    def run(url: str) -> list[tuple[int, int | None]]:
        told: list[tuple[int, int | None]] = []
        download(url, part, lambda done, total: told.append((done, total)), pause_s=0)
        return told

    return run


def test_a_file_comes_whole_and_progress_is_told(serve, get, part: Path):
    told = get(serve(CONTENT).url)
    assert part.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 2
    assert told == sorted(told)


def test_the_folder_is_made_with_the_first_byte(serve, tmp_path: Path, answer):
    part = tmp_path / "a" / "b" / "archive.part"
    with pytest.raises(DataError):
        download(serve(CONTENT, answer(status=404)).url, part, lambda done, total: None)
    assert list(tmp_path.iterdir()) == []
    download(serve(CONTENT).url, part, lambda done, total: None)
    assert part.read_bytes() == CONTENT


BREAKS = {
    "breaks off twice": (b"", [{"cut": HALF}, {"cut": 1000}], [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]),
    "is reset": (b"", [{"cut": HALF, "reset": True}], [None, ANY]),
    "was begun before": (CONTENT[:HALF], [], [f"bytes={HALF}-"]),
    "meets a server that ignores Range": (b"from elsewhere", [{"honors_range": False}], ["bytes=14-"]),
    "was whole": (CONTENT, [], [f"bytes={len(CONTENT)}-"]),
    "had more bytes than the server": (CONTENT + b"x", [], [f"bytes={len(CONTENT) + 1}-", None]),
    "gets a range that was not asked for": (CONTENT[:HALF], [{"shift": 7}], [f"bytes={HALF}-", None]),
    "meets trouble 429": (b"", [{"status": 429}], [None, None]),
    "meets trouble 500": (b"", [{"status": 500}], [None, None]),
    "meets trouble 503": (b"", [{"status": 503}], [None, None]),
}


@pytest.mark.parametrize(("begun", "answers", "ranges"), BREAKS.values(), ids=BREAKS.keys())
def test_a_transfer_that(begun: bytes, answers: list[dict], ranges: list[str | None], serve, get, part: Path, answer):
    if begun:
        part.write_bytes(begun)
    site = serve(CONTENT, *(answer(**each) for each in answers))
    told = get(site.url)
    assert part.read_bytes() == CONTENT
    assert site.ranges == ranges
    assert {total for _, total in told} == (set() if begun == CONTENT else {len(CONTENT)})
    if begun == CONTENT[:HALF] and not answers:
        assert min(told)[0] > HALF


def test_a_server_that_does_not_tell_the_length(serve, get, part: Path, answer):
    told = get(serve(CONTENT, answer(tells_length=False)).url)
    assert part.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), None)


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final(serve, get, part: Path, answer, status: int):
    site = serve(CONTENT, answer(status=status))
    with pytest.raises(DataError, match=rf"was refused: HTTP {status} .*Next: pixelproof data fetch --url"):
        get(site.url)
    assert not part.exists()
    assert len(site.ranges) == 1


def test_after_the_last_try_what_came_is_kept(serve, get, part: Path, answer):
    site = serve(CONTENT, *[answer(cut=10) for _ in range(9)])
    with pytest.raises(DataError, match=r"failed 4 times, last: .*ended at 40 of 500,000 bytes; 40 bytes are kept"):
        get(site.url)
    assert part.read_bytes() == CONTENT[:40]
    assert len(site.ranges) == 4


def test_a_server_that_is_not_there(monkeypatch, get, part: Path):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"failed 4 times, last: \[Errno \d+\] Connection refused\. Next: check"):
        get("http://127.0.0.1:1/archive")
    assert not part.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand in for a full disk")
def test_a_full_disk_is_no_reason_to_try_again(serve):
    site = serve(CONTENT)
    with pytest.raises(OSError, match="No space left") as caught:
        download(site.url, Path("/dev/full"), lambda done, total: None, pause_s=0)
    assert caught.value.errno == errno.ENOSPC
    assert len(site.ranges) == 1


@pytest.mark.parametrize(
    "url", ["", "archive.tar.gz", "file:///etc/passwd", "ftp://host/a", "http://", "http://a:99999/", "http://a/b c"]
)
def test_what_is_no_web_address_is_a_usage_error(get, part: Path, url: str):
    with pytest.raises(UsageError, match="is no http or https address"):
        get(url)
    assert not part.exists()
