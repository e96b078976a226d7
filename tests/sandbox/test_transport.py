from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from virtual_time import run_virtual

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import (
    FaultRule,
    FaultScript,
    Latency,
    SandboxApp,
    SandboxSettings,
    SandboxTransport,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Sign = Callable[..., dict[str, str]]

BODY = json.dumps({"Url": "http://photos.test/1.jpg"}).encode()


class _Call:
    """One call in virtual time: what came of it, when, and what the sandbox counted."""

    def __init__(self, sign: Sign, rule: FaultRule | None = None, **settings: Any) -> None:
        script = FaultScript(0, () if rule is None else (rule,))
        self.app = SandboxApp(SandboxSettings(faces=False, faults=script, **settings))
        self.headers = sign(BODY)
        self.seconds = 0.0
        self.received = b""
        self.error: BaseException | None = None

    async def run(self, read_timeout: float | None, give_up: float | None) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            async with asyncio.timeout(give_up):
                await self._stream(read_timeout)
        except (httpx.HTTPError, TimeoutError) as error:
            self.error = error
        self.seconds = loop.time() - start

    async def _stream(self, read_timeout: float | None) -> None:
        async with (
            httpx.AsyncClient(transport=SandboxTransport(self.app), timeout=read_timeout) as client,
            client.stream("POST", "http://sandbox.test/", content=BODY, headers=self.headers) as response,
        ):
            async for chunk in response.aiter_raw():
                self.received += chunk


def _run(
    sign: Sign,
    rule: FaultRule | None = None,
    *,
    read_timeout: float | None = 5,
    give_up: float | None = None,
    **settings: Any,
) -> _Call:
    call = _Call(sign, rule, **settings)
    run_virtual(call.run(read_timeout, give_up))
    return call


def _count_unanswered(call: _Call) -> tuple[int, int]:
    statistics = call.app.statistics()
    return statistics.billed, statistics.billed_unanswered


def test_call_takes_no_thread_and_no_time(sign: Sign) -> None:
    """Without latency a call by URL is answered at the moment it is sent."""
    call = _run(sign)
    assert (call.error, call.seconds, _count_unanswered(call)) == (None, 0, (1, 0))
    assert "Score" in json.loads(call.received)["Response"]


@pytest.mark.parametrize(
    ("rule", "error", "has_body", "counts"),
    [
        (FaultRule(fault="reset", at="request", rate=1), httpx.ReadError, False, (0, 0)),
        (FaultRule(fault="reset", at="answer", rate=1), httpx.ReadError, False, (1, 1)),
        (FaultRule(fault="reset", at="body", rate=1), httpx.ReadError, True, (1, 1)),
        (FaultRule(fault="truncate", rate=1), httpx.RemoteProtocolError, True, (1, 1)),
    ],
)
def test_ended_connections_are_errors_of_httpx(
    sign: Sign, rule: FaultRule, error: type[Exception], counts: tuple[int, int], *, has_body: bool
) -> None:
    """A reset is a read error, a cut a protocol error, after what was sent before."""
    call = _run(sign, rule)
    assert type(call.error) is error
    assert bool(call.received) == has_body
    assert _count_unanswered(call) == counts


def test_late_answer_is_a_read_timeout(sign: Sign) -> None:
    """An answer that does not begin within the read timeout is given up then."""
    call = _run(sign, FaultRule(fault="stall", seconds=60, rate=1))
    assert isinstance(call.error, httpx.ReadTimeout)
    assert (call.seconds, _count_unanswered(call)) == (5, (1, 1))


def test_stall_ends_with_the_answer(sign: Sign) -> None:
    """Who waits for long enough is answered."""
    call = _run(sign, FaultRule(fault="stall", seconds=60, rate=1), read_timeout=None)
    assert (call.error, call.seconds, _count_unanswered(call)) == (None, 60, (1, 0))


def test_latency_is_under_the_read_timeout_too(sign: Sign) -> None:
    """A call whose work takes too long is billed and unanswered."""
    call = _run(sign, latency=Latency.constant(9))
    assert isinstance(call.error, httpx.ReadTimeout)
    assert (call.seconds, _count_unanswered(call)) == (5, (1, 1))


def test_dripping_answer_keeps_each_timeout(sign: Sign) -> None:
    """Each part of a dripping answer comes in time: only a total timeout ends it."""
    drip = FaultRule(fault="drip", bytes_per_second=0.5, rate=1)
    patient = _run(sign, drip)
    assert (patient.error, patient.seconds) == (None, 2 * len(patient.received))
    hasty = _run(sign, drip, give_up=20)
    assert isinstance(hasty.error, TimeoutError)
    assert (hasty.seconds, _count_unanswered(hasty)) == (20, (1, 1))


def test_drip_that_is_too_slow_is_a_read_timeout(sign: Sign) -> None:
    """A part that is late ends the answer, after what came before."""
    call = _run(sign, FaultRule(fault="drip", bytes_per_second=0.1, rate=1))
    assert isinstance(call.error, httpx.ReadTimeout)
    assert (call.seconds, call.received, _count_unanswered(call)) == (5, b"", (1, 1))


def test_fast_drip_comes_in_larger_parts(sign: Sign) -> None:
    """A pace above ten bytes a second is kept in tenths of a second."""
    call = _run(sign, FaultRule(fault="drip", bytes_per_second=200, rate=1))
    assert call.seconds == pytest.approx(len(call.received) / 200, abs=0.1)


def test_cancelled_caller_is_a_peer_that_left(sign: Sign) -> None:
    """Cancelling a call does not undo it."""
    call = _run(sign, FaultRule(fault="stall", seconds=60, rate=1), read_timeout=None, give_up=3)
    assert (call.seconds, _count_unanswered(call)) == (3, (1, 1))


async def test_body_is_taken_in_parts(sign: Sign) -> None:
    """A streamed body is the same call."""

    async def stream() -> AsyncIterator[bytes]:
        yield BODY[:7]
        yield BODY[7:]

    app = SandboxApp(SandboxSettings(faces=False))
    async with httpx.AsyncClient(transport=SandboxTransport(app)) as client:
        response = await client.post("http://sandbox.test/", content=stream(), headers=sign(BODY))
    assert "Score" in response.json()["Response"]
