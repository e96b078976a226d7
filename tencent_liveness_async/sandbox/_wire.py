"""HTTP/1.1 with connections that can be reset under an answer."""

from __future__ import annotations

import logging
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ._exchange import ABORT, CLOSE

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

_LINGER_ZERO = struct.pack("ii", 1, 0)


class SandboxProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which also lets the application end a connection under its answer.

    It logs to a logger of its own, so that a host program's access log does not show the sandbox.
    """

    def __init__(self, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config=config, server_state=server_state, app_state={}, _loop=loop)
        self.logger = logging.getLogger("tencent_liveness_async.sandbox")
        self.access_log = False

    def on_headers_complete(self) -> None:
        """Offer the extensions; the application starts after this returns."""
        super().on_headers_complete()
        self.scope["extensions"] = {
            ABORT: partial(self._abort, self.cycle),  # type: ignore[dict-item]
            CLOSE: partial(self._close, self.cycle),  # type: ignore[dict-item]
        }

    def _abort(self, cycle: RequestResponseCycle) -> None:
        """Reset the connection: a socket that lingers for no time sends RST when it is closed."""
        cycle.disconnected = True
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.transport.abort()

    def _close(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        self.transport.close()
