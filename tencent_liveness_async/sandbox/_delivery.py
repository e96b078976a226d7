"""Sends answers, whole or as a fault has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._faults import FaultRule

JSON = b"application/json"
HTML = b"text/html"
_TICK = 0.1
"""Seconds between the pieces of a dripping answer, where its pace allows."""


def _write_page(status: int) -> bytes:
    title = f"{status} Gateway" if status != 200 else "Welcome"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode()


async def deliver(exchange: Exchange, body: bytes, *, date: bytes) -> None:
    """Send an answer of the API."""
    await exchange.start(200, content_type=JSON, size=len(body), date=date)
    await exchange.send_body(body)


async def deliver_gateway_fault(exchange: Exchange, rule: FaultRule, *, date: bytes) -> None:
    """Answer as a gateway that does not hand the call on: with a page, or a reset.

    Raises:
        PeerGoneError: The connection was reset.
    """
    if rule.at == "request":
        exchange.abort()
    status = 200 if rule.fault == "html" else rule.status or 502
    page = _write_page(status)
    await exchange.start(status, content_type=HTML, size=len(page), date=date)
    await exchange.send_body(page)


async def deliver_with_fault(exchange: Exchange, body: bytes, rule: FaultRule, *, date: bytes) -> None:
    """Send an answer late, slowly, or in part.

    Raises:
        PeerGoneError: The whole answer was not sent: the fault ended the connection, or the peer
            left before.
    """
    if rule.at == "answer":
        exchange.abort()
    if rule.seconds is not None:
        await exchange.wait(rule.seconds)
    await exchange.start(200, content_type=JSON, size=len(body), date=date)
    if rule.bytes_per_second is not None:
        await _drip(exchange, body, rule.bytes_per_second)
    elif rule.fault in ("truncate", "reset"):
        await _send_half(exchange, body, is_reset=rule.fault == "reset")
    else:
        await exchange.send_body(body)


async def _send_half(exchange: Exchange, body: bytes, *, is_reset: bool) -> None:
    await exchange.send_body(body[: len(body) // 2], more_body=True)
    if is_reset:
        exchange.abort()
    exchange.close()


async def _drip(exchange: Exchange, body: bytes, bytes_per_second: float) -> None:
    step = max(1, int(bytes_per_second * _TICK))
    for start in range(0, len(body), step):
        await exchange.wait(step / bytes_per_second)
        end = start + step
        await exchange.send_body(body[start:end], more_body=end < len(body))
