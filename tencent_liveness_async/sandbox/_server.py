"""The sandbox on a port: in a thread of its own for tests, in the foreground for people."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import ssl
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Self, TypeAlias

from uvicorn.config import Config
from uvicorn.server import ServerState

from .._errors import ConfigurationError
from ._app import SandboxApp
from ._wire import SandboxProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import TracebackType

    from ._faults import FaultScript
    from ._settings import SandboxSettings
    from ._statistics import SandboxStatistics

FilePath: TypeAlias = str | PathLike[str]

_BACKLOG = 2048
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Listener:
    """A bound port and how to serve an application on it."""

    def __init__(
        self,
        settings: SandboxSettings | None,
        *,
        host: str,
        port: int,
        ssl_certfile: FilePath | None,
        ssl_keyfile: FilePath | None,
    ) -> None:
        self.app = SandboxApp(settings)
        self._tls = _load_tls(ssl_certfile, ssl_keyfile)
        self._socket = _bind(host, port)
        scheme = "https" if self._tls else "http"
        name = f"[{host}]" if ":" in host else host
        self.endpoint = f"{scheme}://{name}:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    async def serve(self, on_listening: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then end every connection and wait for what they started."""
        state = ServerState()
        server = await self._listen(state)
        try:
            on_listening()
            await stop.wait()
        finally:
            server.close()
            await _end_connections(state)

    async def _listen(self, state: ServerState) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        config = Config(
            self.app,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=self.app.settings.keep_alive,  # type: ignore[arg-type]
        )
        config.load()
        return await loop.create_server(
            lambda: SandboxProtocol(config, state, loop),
            sock=self._socket,
            ssl=self._tls,
            backlog=_BACKLOG,
        )


async def _end_connections(state: ServerState) -> None:
    """Drop all connections; the calls on them see their peers gone, and end by themselves."""
    while state.connections or state.tasks:
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        if state.tasks:
            await asyncio.wait(state.tasks)


def _load_tls(certfile: FilePath | None, keyfile: FilePath | None) -> ssl.SSLContext | None:
    if certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certfile, keyfile)
    except OSError as error:
        raise ConfigurationError(f"the certificate {certfile} cannot be loaded: {error}") from error
    return context


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.settimeout(0)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            message = f"port {port} of {host} is in use; choose another, or 0 for any free one"
            raise ConfigurationError(message) from error
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {error}") from error
    return listener


class SandboxServer:
    """A sandbox on a port, in a thread with an event loop of its own.

    Entering it returns when the port is open. Leaving it drops all connections and leaves no
    thread, socket or task behind; a picture that is being decoded is waited for.

    Example:
        >>> from tencent_liveness_async.sandbox import SandboxSettings
        >>> with SandboxServer(SandboxSettings(faces=False)) as server:
        ...     server.endpoint.startswith("http://127.0.0.1:")
        True

    Args:
        settings: The sandbox's; None is all defaults.
        host: The address to listen on, loopback by default. Another one lets other machines in.
        port: The port, 0 by default: any free one.
        ssl_certfile: A PEM certificate chain; makes it HTTPS.
        ssl_keyfile: Its key, if it is in a file of its own.

    Raises:
        ConfigurationError: On entering: the port is in use, or the certificate cannot be loaded.
    """

    def __init__(
        self,
        settings: SandboxSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_certfile: FilePath | None = None,
        ssl_keyfile: FilePath | None = None,
    ) -> None:
        self._settings = settings
        self._host = host
        self._port = port
        self._certfile = ssl_certfile
        self._keyfile = ssl_keyfile
        self._running: tuple[_Listener, threading.Thread, Callable[[], None]] | None = None

    def __enter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("the sandbox server is running already")
        listener = _Listener(
            self._settings,
            host=self._host,
            port=self._port,
            ssl_certfile=self._certfile,
            ssl_keyfile=self._keyfile,
        )
        started: Future[Callable[[], None]] = Future()
        thread = threading.Thread(
            target=_run_in_thread, args=(listener, started), name="sandbox", daemon=True
        )
        thread.start()
        self._running = (listener, thread, started.result())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _, thread, stop = self._require_running()
        self._running = None
        stop()
        thread.join()

    def _require_running(self) -> tuple[_Listener, threading.Thread, Callable[[], None]]:
        if self._running is None:
            raise RuntimeError("the sandbox server is used outside its `with` block")
        return self._running

    @property
    def app(self) -> SandboxApp:
        """The application it serves."""
        return self._require_running()[0].app

    @property
    def endpoint(self) -> str:
        """Where it is, for example `http://127.0.0.1:40123`."""
        return self._require_running()[0].endpoint

    def statistics(self) -> SandboxStatistics:
        """Return what was counted. Does not wait; calls under way may be counted in part."""
        return self.app.statistics()

    def set_faults(self, script: FaultScript) -> None:
        """Replace the fault script; the next call has number 1."""
        self.app.set_faults(script)

    def set_quota(self, limit: int | None) -> None:
        """Change the quota, in calls per second, from the next call on; None never throttles.

        Raises:
            ConfigurationError: The limit is less than 1.
        """
        self.app.set_quota(limit)

    def reset(self) -> None:
        """Count from nothing again."""
        self.app.reset()


def _run(main: Coroutine[object, object, None]) -> None:
    """Run on asyncio's own loop, whatever the host program's policy says."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main)


def _run_in_thread(listener: _Listener, started: Future[Callable[[], None]]) -> None:
    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        await listener.serve(lambda: started.set_result(lambda: _stop_threadsafe(loop, stop)), stop)

    try:
        _run(serve())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
    finally:
        listener.close()


def _stop_threadsafe(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stop.set)


def serve(
    settings: SandboxSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_certfile: FilePath | None = None,
    ssl_keyfile: FilePath | None = None,
    on_listening: Callable[[str], None] | None = None,
) -> SandboxStatistics:
    """Serve in the foreground until SIGINT or SIGTERM, and return what was counted.

    It must be called by the main thread, which alone may handle signals. Signal handlers that were
    set before are set again when it returns.

    Args:
        settings: The sandbox's; None is all defaults.
        host: The address to listen on, loopback by default. Another one lets other machines in.
        port: The port, 0 by default: any free one.
        ssl_certfile: A PEM certificate chain; makes it HTTPS.
        ssl_keyfile: Its key, if it is in a file of its own.
        on_listening: Called once with the endpoint, when connections are taken.

    Raises:
        ConfigurationError: The port is in use, or the certificate cannot be loaded.
    """
    listener = _Listener(settings, host=host, port=port, ssl_certfile=ssl_certfile, ssl_keyfile=ssl_keyfile)

    async def run() -> None:
        stop = asyncio.Event()
        with _stop_on_signals(stop):
            await listener.serve(lambda: on_listening(listener.endpoint) if on_listening else None, stop)

    try:
        _run(run())
    finally:
        listener.close()
    return listener.app.statistics()


@contextmanager
def _stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
