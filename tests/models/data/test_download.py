"""Downloads that break off, are refused, or meet a server without Range."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

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


def test_a_transfer_that_breaks_off_twice_is_resumed_each_time(serve, get, part: Path, answer):
    site = serve(CONTENT, answer(cut=HALF), answer(cut=1000))
    told = get(site.url)
    assert part.read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert {total for _, total in told} == {len(CONTENT)}


def test_a_connection_that_is_reset_is_resumed(serve, get, part: Path, answer):
    site = serve(CONTENT, answer(cut=HALF, reset=True))
    get(site.url)
    assert part.read_bytes() == CONTENT
    assert len(site.ranges) == 2


def test_a_later_call_fetches_the_rest_alone(serve, get, part: Path):
    part.write_bytes(CONTENT[:HALF])
    site = serve(CONTENT)
    assert min(get(site.url))[0] > HALF
    assert part.read_bytes() == CONTENT
    assert site.ranges == [f"bytes={HALF}-"]


def test_a_server_that_ignores_range_starts_over(serve, get, part: Path, answer):
    part.write_bytes(b"from elsewhere")
    site = serve(CONTENT, answer(honors_range=False))
    get(site.url)
    assert part.read_bytes() == CONTENT
    assert site.ranges == ["bytes=14-"]


def test_a_whole_file_is_not_fetched_again(serve, get, part: Path):
    part.write_bytes(CONTENT)
    site = serve(CONTENT)
    assert get(site.url) == []
    assert part.read_bytes() == CONTENT
    assert site.ranges == [f"bytes={len(CONTENT)}-"]


def test_more_bytes_than_the_server_has_start_over(serve, get, part: Path):
    part.write_bytes(CONTENT + b"x")
    site = serve(CONTENT)
    get(site.url)
    assert part.read_bytes() == CONTENT
    assert site.ranges == [f"bytes={len(CONTENT) + 1}-", None]


def test_a_range_that_was_not_asked_for_starts_over(serve, get, part: Path, answer):
    part.write_bytes(CONTENT[:HALF])
    get(serve(CONTENT, answer(shift=7)).url)
    assert part.read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_length(serve, get, part: Path, answer):
    told = get(serve(CONTENT, answer(tells_length=False)).url)
    assert part.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), None)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(serve, get, part: Path, answer, status: int):
    get(serve(CONTENT, answer(status=status)).url)
    assert part.read_bytes() == CONTENT


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
