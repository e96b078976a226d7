"""Clients that talk to a sandbox in the same loop, under a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtual_time import run_virtual

from tencent_liveness_async import Credential, LivenessClient
from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    FaultRule,
    FaultScript,
    SandboxApp,
    SandboxSettings,
    SandboxTransport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

KEY = Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY)
URL = "https://photos.test/1.jpg"


def make_client(app: SandboxApp, **settings: Any) -> LivenessClient:
    """Make a client that talks to a sandbox in the same loop."""
    return LivenessClient(
        credentials=settings.pop("credentials", KEY),
        endpoint="http://sandbox.test",
        transport=SandboxTransport(app),
        **settings,
    )


def with_client(
    use: Callable[[LivenessClient], Coroutine[Any, Any, Any]],
    *,
    faults: tuple[FaultRule, ...] = (),
    sandbox: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Any, SandboxApp]:
    """Run `use` with an open client in virtual time; return what it returns, and the sandbox."""
    values: dict[str, Any] = {"faces": False, "quota": None, "faults": FaultScript(7, faults)} | (
        sandbox or {}
    )
    app = SandboxApp(SandboxSettings(**values))

    async def scenario() -> Any:
        async with make_client(app, **settings) as client:
            return await use(client)

    return run_virtual(scenario()), app
