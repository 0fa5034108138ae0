"""A web server on this machine that misbehaves as told."""

import io
import socket
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Answer:
    """How one request is answered: the error `status`, or the content, cut off after `cut` bytes of the body."""

    status: int | None = None
    cut: int | None = None
    reset: bool = False  # cut it by a reset instead of an orderly end
    honors_range: bool = True
    tells_length: bool = True
    shift: int = 0  # start so many bytes beside what was asked
    goes_on: threading.Event | None = None  # send what `cut` left off once this is set


@dataclass
class Site:
    content: bytes
    answers: list[Answer]
    ranges: list[str | None] = field(default_factory=list)  # what each request asked for
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        answer = self.site.answers.pop(0) if self.site.answers else Answer()
        asked = self.headers.get("Range")
        self.site.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) + answer.shift if asked else 0
        if answer.status:
            self.send_error(answer.status)
        elif not answer.honors_range:
            self.send_content(200, 0, answer)
        elif asked and start >= len(self.site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.site.content)}")
            self.end_headers()
        else:
            self.send_content(206 if asked else 200, start, answer)

    def send_content(self, status: int, start: int, answer: Answer) -> None:
        body = self.site.content[start:]
        self.send_response(status)
        if status == 206:
            end = len(self.site.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        if answer.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.cut])
        if answer.goes_on:
            answer.goes_on.wait(60)
            self.wfile.write(body[answer.cut :])
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up, or a connection that was reset on purpose


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Site]]:
    """`serve(content, Answer(...), ...)`: one answer a request, then the whole content to each."""
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(content: bytes, *answers: Answer) -> Site:
        site = Site(content, list(answers))
        server = QuietServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        site.url = f"http://127.0.0.1:{server.server_port}/cifar-10-binary.tar.gz"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def tar_gz() -> Callable[..., bytes]:
    """`tar_gz((name, bytes) or TarInfo, ...)`: an archive of these members, in this order."""

    def make(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    tar.addfile(member)
                    continue
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
        return buffer.getvalue()

    return make
