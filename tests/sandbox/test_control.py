from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import FaultScript, SandboxApp, SandboxSettings, SandboxTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SCRIPT = {"seed": 7, "rules": [{"fault": "code", "code": "InternalError", "rate": 1}]}


@pytest.fixture
def app() -> SandboxApp:
    """A sandbox without faults."""
    return SandboxApp(SandboxSettings(faces=False))


@pytest.fixture
async def client(app: SandboxApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client that signs nothing."""
    async with httpx.AsyncClient(transport=SandboxTransport(app), base_url="http://sandbox.test") as client:
        yield client


async def test_statistics_are_shown(
    app: SandboxApp, client: httpx.AsyncClient, ask: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    """What was counted is read as JSON, and reading it counts nothing."""
    await ask(app)
    shown = (await client.get("/_sandbox/statistics")).json()
    assert shown == app.statistics().to_json()
    assert (shown["calls"], shown["codes"]) == (1, {"OK": 1})


async def test_reset_counts_from_nothing(
    app: SandboxApp, client: httpx.AsyncClient, ask: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    """After a reset all counts are 0."""
    await ask(app)
    assert (await client.post("/_sandbox/reset")).json()["calls"] == 0
    assert app.statistics().calls == 0


async def test_script_is_replaced_and_shown(
    app: SandboxApp, client: httpx.AsyncClient, ask: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    """A posted script takes effect at once, in place of the one before."""
    response = await client.post("/_sandbox/faults", json=SCRIPT)
    assert (response.status_code, response.json()) == (200, SCRIPT)
    assert (await client.get("/_sandbox/faults")).json() == SCRIPT
    assert (await ask(app))["Error"]["Code"] == "InternalError"
    await client.post("/_sandbox/faults", json={})
    assert app.faults == FaultScript()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not JSON"),
        (b'{"rules": [{"fault": "html", "rate": 2}]}', "rules[0].rate must be a number from 0 to 1"),
        (b" " * (10 * 1024 * 1024 + 1), "RequestSizeLimitExceeded"),
    ],
)
async def test_wrong_script_changes_nothing(
    app: SandboxApp, client: httpx.AsyncClient, body: bytes, complaint: str
) -> None:
    """A wrong script is answered with 400 and the field that is wrong; the running one stays."""
    await client.post("/_sandbox/faults", json=SCRIPT)
    response = await client.post("/_sandbox/faults", content=body)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert complaint in response.json()["error"]
    assert app.faults == FaultScript.parse(SCRIPT)


async def test_quota_is_shown_and_changed(app: SandboxApp, client: httpx.AsyncClient) -> None:
    """A posted quota is in force at once; null never throttles."""
    assert (await client.get("/_sandbox/quota")).json() == {"quota": 50}
    for limit in (20, None, 50):
        response = await client.post("/_sandbox/quota", json={"quota": limit})
        assert (response.status_code, response.json()) == (200, {"quota": limit})
        assert (await client.get("/_sandbox/quota")).json() == {"quota": app.quota} == {"quota": limit}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "quota: it is not JSON"),
        (b"20", 'must be an object with `quota` alone, as {"quota": 20}'),
        (b"{}", "must be an object with `quota` alone"),
        (b'{"quota": 20, "limit": 20}', "must be an object with `quota` alone"),
        (b'{"quota": 0}', "must be a whole number from 1, or null"),
        (b'{"quota": 2.5}', "must be a whole number from 1"),
        (b'{"quota": true}', "must be a whole number from 1"),
        (b'{"quota": "20"}', "must be a whole number from 1"),
    ],
)
async def test_wrong_quota_changes_nothing(
    app: SandboxApp, client: httpx.AsyncClient, body: bytes, complaint: str
) -> None:
    """A wrong quota is answered with 400 and what is wrong; the one in force stays."""
    response = await client.post("/_sandbox/quota", content=body)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert complaint in response.json()["error"]
    assert app.quota == 50


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/_sandbox/statistics", 405),
        ("GET", "/_sandbox/reset", 405),
        ("DELETE", "/_sandbox/faults", 405),
        ("PUT", "/_sandbox/quota", 405),
        ("GET", "/_sandbox", 404),
        ("POST", "/index.html", 404),
    ],
)
async def test_other_addresses_are_not_there(
    app: SandboxApp, client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """What is not an address of the sandbox says so, and is no call."""
    response = await client.request(method, path)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert app.statistics().calls == 0
