"""The engines under test, and certificates for servers on the loopback."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async._transport import ConnectionPool, load_fast_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx
    import trustme


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the proxies and certificates of whoever runs the tests out of the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture(params=["httpcore", "fast"])
def make_engine(request: pytest.FixtureRequest) -> Callable[..., httpx.AsyncBaseTransport]:
    """Return what makes the pool with each kind of connection; one set of rules for all."""
    if request.param == "httpcore":
        return ConnectionPool
    pytest.importorskip("httptools")
    return partial(ConnectionPool, connection_class=load_fast_connection())


@pytest.fixture
async def engine(
    make_engine: Callable[..., httpx.AsyncBaseTransport],
) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Return an engine that is closed after the test, and must have nothing in use then."""
    engine = make_engine()
    yield engine
    await engine.aclose()
    assert "0 in use" in repr(engine)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """Return a certificate authority of the test's own."""
    pytest.importorskip("trustme")
    from trustme import CA

    return CA()


@pytest.fixture
def server_context(ca: trustme.CA) -> ssl.SSLContext:
    """Return a context for a server on the loopback, signed by the test's own authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def bundle(ca: trustme.CA, tmp_path: Path) -> Path:
    """Return a file with the authority's certificate."""
    path = tmp_path / "authorities.pem"
    ca.cert_pem.write_to_path(str(path))
    return path
