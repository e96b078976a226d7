"""The sandbox's own addresses: statistics, reset, fault script, quota."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from .._errors import ConfigurationError
from ._answers import RefusalError
from ._delivery import JSON
from ._faults import FaultScript

if TYPE_CHECKING:
    from ._exchange import Exchange
    from ._statistics import SandboxStatistics

_PATHS = ("/_sandbox/statistics", "/_sandbox/reset", "/_sandbox/faults", "/_sandbox/quota")
_NOT_FOUND = "the API is at POST /; /_sandbox/ has statistics, faults, quota and reset"


class Controllable(Protocol):
    """What the addresses show and change."""

    @property
    def faults(self) -> FaultScript: ...
    def set_faults(self, script: FaultScript) -> None: ...
    @property
    def quota(self) -> int | None: ...
    def set_quota(self, limit: int | None) -> None: ...
    def statistics(self) -> SandboxStatistics: ...
    def reset(self) -> None: ...


class _WrongRequestError(Exception):
    """A request is answered with a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def answer_control(sandbox: Controllable, exchange: Exchange, *, date: bytes) -> None:
    """Answer a request to one of the sandbox's own addresses, or with 404 to any other."""
    try:
        status, answer = 200, await _handle(sandbox, exchange)
    except (ConfigurationError, RefusalError) as error:
        status, answer = 400, {"error": str(error)}
    except _WrongRequestError as error:
        status, answer = error.status, {"error": str(error)}
    body = json.dumps(answer, ensure_ascii=False, indent=1).encode()
    await exchange.start(status, content_type=JSON, size=len(body), date=date)
    await exchange.send_body(body)


async def _handle(sandbox: Controllable, exchange: Exchange) -> dict[str, object]:
    body, _ = await exchange.read_body(is_hashed=False)
    match exchange.method, exchange.path:
        case "GET", "/_sandbox/statistics":
            pass
        case "POST", "/_sandbox/reset":
            sandbox.reset()
        case "GET", "/_sandbox/faults":
            return sandbox.faults.to_json()
        case "POST", "/_sandbox/faults":
            sandbox.set_faults(FaultScript.parse(_decode(body, "fault script")))
            return sandbox.faults.to_json()
        case "GET", "/_sandbox/quota":
            return {"quota": sandbox.quota}
        case "POST", "/_sandbox/quota":
            sandbox.set_quota(_parse_quota(_decode(body, "quota")))
            return {"quota": sandbox.quota}
        case _, path if path in _PATHS:
            raise _WrongRequestError(405, f"{exchange.method} is not for {exchange.path}")
        case _:
            raise _WrongRequestError(404, _NOT_FOUND)
    return sandbox.statistics().to_json()


def _decode(body: bytes, name: str) -> object:
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: it is not JSON: {error}") from None
    return data


def _parse_quota(data: object) -> int | None:
    if not isinstance(data, dict) or list(data) != ["quota"]:
        raise ConfigurationError('quota: it must be an object with `quota` alone, as {"quota": 20}')
    limit: object = data["quota"]
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1):
        return limit
    raise ConfigurationError("quota: it must be a whole number from 1, or null to never throttle")
