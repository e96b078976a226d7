from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import SandboxApp, SandboxSettings
from tencent_liveness_async.sandbox import _downloads as downloads
from tencent_liveness_async.sandbox._answers import RefusalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

FAILED = "FailedOperation.ImageDownloadError"


class _Pages(HTTPServer):
    """A web server with pages by path, and a list of what was asked for."""

    pages: dict[str, bytes]
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Pages  # type: ignore[mutable-override] # it is made for this server only

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/photo")
            self.end_headers()
            return
        page = self.server.pages.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[_Pages]:
    """Serve pages on loopback."""
    server = _Pages(("127.0.0.1", 0), _Handler)
    server.pages, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _find_code(url: str, allowed: tuple[str, ...], timeout: float = 5) -> str | None:
    try:
        downloads.download(url, allowed=allowed, timeout=timeout)
    except RefusalError as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    "url",
    [
        "photo.jpg",
        "ftp://a.test/1",
        "http://",
        "http:///1",
        "http://a.test:x/",
        "http://a.test:0/",
        "http://a.test:99999/",
        "http://a.test/a b",
        "http://a.test/\x00",
        "http://[::1/",
        "file:///etc/passwd",
    ],
)
def test_other_urls_are_illegal(url: str) -> None:
    """A URL has a scheme of the web, a host and a possible port."""
    with pytest.raises(RefusalError, match=r"InvalidParameterValue\.UrlIllegal"):
        downloads.parse_url(url)


@pytest.mark.parametrize("url", ["http://a.test", "HTTPS://a.test:8443/1?x=1", "http://例子.test/图"])
def test_web_urls_are_legal(url: str) -> None:
    """Addresses of the web are taken, in any script."""
    assert downloads.parse_url(url).hostname


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_allowed_loopback_address_is_downloaded(web: _Pages, host: str) -> None:
    """Path and query are asked for as they are in the URL."""
    web.pages["/photo?size=2"] = b"data"
    address = f"{host}:{web.server_port}"
    assert downloads.download(f"http://{address}/photo?size=2", allowed=[address], timeout=5) == b"data"


def test_redirect_is_not_followed(web: _Pages) -> None:
    """An answer that is not the photo itself is a failure."""
    address = f"127.0.0.1:{web.server_port}"
    assert _find_code(f"http://{address}/moved", (address,)) == FAILED
    assert _find_code(f"http://{address}/nothing", (address,)) == FAILED
    assert web.asked == ["/moved", "/nothing"]


def test_address_must_be_allowed(web: _Pages) -> None:
    """Nothing is asked of an address that is not on the list."""
    assert _find_code(f"http://127.0.0.1:{web.server_port}/", ("127.0.0.1:1",)) == FAILED
    assert web.asked == []


@pytest.mark.parametrize(
    "address", ["10.0.0.1:80", "a.test:80", "169.254.0.23:80", "metadata.tencentyun.com:80", "0.0.0.0:80"]
)
def test_only_loopback_is_downloaded(address: str) -> None:
    """An address elsewhere is refused, though it is on the list."""
    assert _find_code(f"http://{address}/", (address,)) == FAILED


def test_only_plain_http_is_downloaded() -> None:
    """The sandbox has no certificates to trust."""
    assert _find_code("https://127.0.0.1:80/", ("127.0.0.1:80",)) == FAILED


def test_closed_port_is_a_failure(unused_port: int) -> None:
    """A host that does not answer is a failed download."""
    address = f"127.0.0.1:{unused_port}"
    assert _find_code(f"http://{address}/", (address,)) == FAILED


def test_large_file_is_cut_off(web: _Pages) -> None:
    """No more than what the API takes is read."""
    web.pages["/big"] = bytes(5_000_000)
    address = f"127.0.0.1:{web.server_port}"
    assert _find_code(f"http://{address}/big", (address,)) == "FailedOperation.ImageSizeExceed"


def test_slow_host_has_a_limit(web: _Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout is for the whole download, not for each part."""
    web.pages["/photo"] = b"data"
    address = f"127.0.0.1:{web.server_port}"
    times = iter([0.0, 6.0])
    monkeypatch.setattr(downloads, "time", type("Clock", (), {"monotonic": lambda: next(times)}))
    assert _find_code(f"http://{address}/photo", (address,)) == FAILED


async def test_downloaded_photo_is_checked_and_scored(
    web: _Pages,
    ask: Callable[..., Awaitable[dict[str, Any]]],
    draw_picture: Callable[..., bytes],
    make_payload: Callable[[bytes], dict[str, str]],
) -> None:
    """A downloaded photo has the score of its bytes, unless a table names its URL."""
    picture = draw_picture()
    address = f"127.0.0.1:{web.server_port}"
    web.pages |= {"/photo": picture, "/other": picture, "/empty": b"", "/text": b"hello"}
    urls = {name: {"Url": f"http://{address}/{name}"} for name in ("photo", "other", "empty", "text")}
    app = SandboxApp(
        SandboxSettings(urls="fetch", fetch_from=(address,), faces=False, scores={urls["other"]["Url"]: 12.5})
    )
    assert (await ask(app, urls["photo"]))["Score"] == (await ask(app, make_payload(picture)))["Score"]
    assert (await ask(app, urls["other"]))["Score"] == 12.5
    assert (await ask(app, urls["empty"]))["Error"]["Code"] == "InvalidParameterValue.ImageEmpty"
    assert (await ask(app, urls["text"]))["Error"]["Code"] == "FailedOperation.ImageDecodeFailed"
