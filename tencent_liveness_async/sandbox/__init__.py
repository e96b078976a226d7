"""An emulator of DetectLiveFaceAccurate for tests, demos and local development.

It judges nothing: scores follow from the photo's bytes and a seed. It checks what the API checks
(signature, limits, quota), answers with the API's codes, counts what would be billed, and fails as
its fault script says. It comes as an ASGI application (`SandboxApp`), as a server in a thread
(`SandboxServer`) or in the foreground (`serve`), and as an httpx transport without sockets
(`SandboxTransport`). It needs the extra `sandbox`; looking for faces needs `faces`.
"""

from __future__ import annotations

from .._errors import ConfigurationError

try:
    from ._app import SandboxApp
    from ._faults import FaultRule, FaultScript
    from ._latency import Latency
    from ._scores import invent_score
    from ._server import SandboxServer, serve
    from ._settings import BANNER, SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY, SandboxSettings
    from ._statistics import SandboxStatistics
    from ._transport import SandboxTransport
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("PIL", "uvicorn", "httptools"):
        raise
    raise ConfigurationError(
        f"the sandbox needs an extra ({error.name} is not installed): "
        "pip install 'tencent-liveness-async[sandbox]'"
    ) from error

__all__ = [  # noqa: RUF022 - grouped by use
    # run it
    "SandboxApp",
    "SandboxServer",
    "SandboxTransport",
    "serve",
    # set it
    "BANNER",
    "SANDBOX_SECRET_ID",
    "SANDBOX_SECRET_KEY",
    "FaultRule",
    "FaultScript",
    "Latency",
    "SandboxSettings",
    # read it
    "SandboxStatistics",
    "invent_score",
]
