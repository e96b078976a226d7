from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

pytest.importorskip("PIL")
pytest.importorskip("trustme")

import trustme

from tencent_liveness_async import _errors as errors
from tencent_liveness_async.sandbox import (
    FaultRule,
    FaultScript,
    Latency,
    SandboxServer,
    SandboxSettings,
    SandboxStatistics,
    serve,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Sign = Callable[..., dict[str, str]]
    Call = Callable[[SandboxServer], bytes]

BODY = json.dumps({"Url": "http://photos.test/1.jpg"}).encode()
SETTINGS = SandboxSettings(faces=False)
PATIENCE = 10.0


@pytest.fixture
def call(sign: Sign) -> Call:
    """Return the bytes of a signed call to a server."""

    def write(server: SandboxServer) -> bytes:
        host = server.endpoint.partition("://")[2]
        headers = {**sign(BODY, host=host), "content-length": str(len(BODY))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + BODY

    return write


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox without faults."""
    with SandboxServer(SETTINGS) as server:
        yield server


def _connect(server: SandboxServer) -> socket.socket:
    host, _, port = server.endpoint.partition("://")[2].rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


def _set_fault(server: SandboxServer, **rule: Any) -> None:
    server.set_faults(FaultScript(0, (FaultRule(rate=1, **rule),)))


def _read_all(connection: socket.socket) -> bytes:
    """Read until the connection's regular end; a reset raises."""
    data = b""
    while chunk := connection.recv(65_536):
        data += chunk
    return data


def _read_answer(connection: socket.socket) -> dict[str, Any]:
    """Read one whole answer and leave the connection open."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1)
    head, _, _ = data.partition(b"\r\n\r\n")
    size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = b""
    while len(body) < size:
        body += connection.recv(size - len(body))
    answer: dict[str, Any] = json.loads(body)["Response"]
    return answer


def _read_below(connection: ssl.SSLSocket) -> None:
    """Read what TLS would read."""
    while os.read(connection.fileno(), 65_536):
        continue


def _split(data: bytes) -> tuple[int, bytes]:
    """Return the size an answer promises, and the body that came."""
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]), body


def _wait_for_unanswered(server: SandboxServer) -> SandboxStatistics:
    """Return the statistics once the server has noticed that its peer left."""
    until = time.monotonic() + PATIENCE
    while not server.statistics().billed_unanswered and time.monotonic() < until:
        os.sched_yield()
    return server.statistics()


def test_calls_are_answered_on_one_connection(server: SandboxServer, call: Call) -> None:
    """A connection is kept open from call to call."""
    with _connect(server) as connection:
        for _ in range(3):
            connection.sendall(call(server))
            assert "Score" in _read_answer(connection)
    assert server.statistics().billed == 3


def test_pipelined_calls_are_answered_in_turn(server: SandboxServer, call: Call) -> None:
    """Calls sent without waiting have one answer each."""
    with _connect(server) as connection:
        connection.sendall(call(server) * 3)
        assert len({_read_answer(connection)["RequestId"] for _ in range(3)}) == 3


def test_reset_on_arrival_is_a_reset(server: SandboxServer, call: Call) -> None:
    """A reset at `request` is a TCP RST, with no work done."""
    _set_fault(server, fault="reset", at="request")
    with _connect(server) as connection:
        connection.sendall(call(server))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    statistics = server.statistics()
    assert (statistics.calls, statistics.billed, statistics.faults) == (1, 0, {"reset": 1})


def test_reset_on_arrival_does_not_wait_for_the_body(server: SandboxServer, call: Call) -> None:
    """A reset at `request` comes while the body is on its way."""
    _set_fault(server, fault="reset", at="request")
    with _connect(server) as connection:
        connection.sendall(call(server)[: -len(BODY)])
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_reset_in_place_of_the_answer_is_billed(server: SandboxServer, call: Call) -> None:
    """A reset at `answer` is a TCP RST before the first byte, with the work done."""
    _set_fault(server, fault="reset", at="answer")
    with _connect(server) as connection:
        connection.sendall(call(server))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    statistics = server.statistics()
    assert (statistics.billed, statistics.billed_unanswered, statistics.codes) == (1, 1, {"OK": 1})


def test_reset_in_the_body_follows_half_an_answer(server: SandboxServer, call: Call) -> None:
    """A reset at `body` is a TCP RST after half of the bytes."""
    _set_fault(server, fault="reset", at="body")
    data = b""
    with _connect(server) as connection:
        connection.sendall(call(server))
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65_536):
                data += chunk
            pytest.fail("the connection ended regularly")
    size, body = _split(data)
    assert len(body) == size // 2
    assert server.statistics().billed_unanswered == 1


def test_truncated_answer_ends_regularly(server: SandboxServer, call: Call) -> None:
    """A cut answer promises all of its bytes, has half, and ends without a reset."""
    _set_fault(server, fault="truncate")
    with _connect(server) as connection:
        connection.sendall(call(server))
        size, body = _split(_read_all(connection))
    assert len(body) == size // 2
    assert server.statistics().billed_unanswered == 1


def test_stall_says_nothing_and_then_answers(server: SandboxServer, call: Call) -> None:
    """A stalled call is answered in the end, and not before."""
    _set_fault(server, fault="stall", seconds=0.2)
    before = time.monotonic()
    with _connect(server) as connection:
        connection.sendall(call(server))
        assert "Score" in _read_answer(connection)
    assert time.monotonic() - before >= 0.2
    assert server.statistics().billed_unanswered == 0


def test_stall_that_is_given_up_is_unanswered(server: SandboxServer, call: Call) -> None:
    """A peer that leaves during a stall is noticed at once."""
    _set_fault(server, fault="stall", seconds=600)
    with _connect(server) as connection:
        connection.sendall(call(server))
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    statistics = _wait_for_unanswered(server)
    assert (statistics.billed, statistics.billed_unanswered) == (1, 1)


def test_drip_sends_in_pieces(server: SandboxServer, call: Call) -> None:
    """A dripping answer has a whole head at once and a body at its pace."""
    _set_fault(server, fault="drip", bytes_per_second=500)
    with _connect(server) as connection:
        connection.sendall(call(server))
        before = time.monotonic()
        answer = _read_answer(connection)
    assert "Score" in answer
    assert time.monotonic() - before >= 0.2


def test_drip_that_is_given_up_is_unanswered(server: SandboxServer, call: Call) -> None:
    """A peer that leaves during a drip has not got its answer."""
    _set_fault(server, fault="drip", bytes_per_second=20)
    with _connect(server) as connection:
        connection.sendall(call(server))
        data = b""
        while not data.partition(b"\r\n\r\n")[2]:
            data += connection.recv(65_536)
    assert _wait_for_unanswered(server).billed_unanswered == 1


def test_peer_that_leaves_during_the_work_is_billed(call: Call) -> None:
    """The service works on, whether or not somebody waits."""
    settings = SandboxSettings(faces=False, latency=Latency.constant(600))
    with SandboxServer(settings) as server:
        with _connect(server) as connection:
            connection.sendall(call(server))
            while not server.statistics().billed:
                os.sched_yield()
        assert _wait_for_unanswered(server).billed_unanswered == 1


def test_peers_that_vanish_leave_no_trace(
    server: SandboxServer, call: Call, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Half a request, a reset and an unread answer write nothing to the log or to stderr."""
    for data in (b"POST / HT", call(server)[:-5], call(server)):
        with _connect(server) as connection:
            connection.sendall(data)
            linger = (1).to_bytes(4, "little") + bytes(4)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    for fault in ("truncate", "html"):
        _set_fault(server, fault=fault)
        with _connect(server) as connection:
            connection.sendall(call(server))
            connection.recv(1)
    server.__exit__(None, None, None)
    server.__enter__()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_idle_connection_is_closed(call: Call) -> None:
    """A connection that is idle for `keep_alive` seconds is closed regularly."""
    with (
        SandboxServer(SandboxSettings(faces=False, keep_alive=0.05)) as server,
        _connect(server) as connection,
    ):
        connection.sendall(call(server))
        assert "Score" in _read_answer(connection)
        assert connection.recv(1) == b""


def test_leaving_drops_calls_under_way(call: Call) -> None:
    """Leaving does not wait for stalled calls, and leaves neither thread nor socket."""
    threads = set(threading.enumerate())
    rule = FaultRule(fault="stall", seconds=600, rate=1)
    with (
        SandboxServer(SandboxSettings(faces=False, faults=FaultScript(0, (rule,)))) as server,
        _connect(server) as idle,
        _connect(server) as connection,
    ):
        connection.sendall(call(server))
        while not server.statistics().billed:
            os.sched_yield()
        server.__exit__(None, None, None)
        assert (idle.recv(1), connection.recv(1)) == (b"", b"")
        assert set(threading.enumerate()) <= threads
        gc.collect()
        server.__enter__()


def test_port_in_use_is_one_clear_error(server: SandboxServer) -> None:
    """Two servers cannot share a port, and the message says which it is."""
    port = int(server.endpoint.rpartition(":")[2])
    with pytest.raises(errors.ConfigurationError, match=f"port {port} of 127.0.0.1 is in use"):
        SandboxServer(SETTINGS, port=port).__enter__()


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 70_000)])
def test_address_of_others_is_one_clear_error(host: str, port: int) -> None:
    """An address that is not this machine's cannot be listened on."""
    with pytest.raises(errors.ConfigurationError, match=f"cannot listen on {host}, port {port}"):
        SandboxServer(SETTINGS, host=host, port=port).__enter__()


def test_ipv6_is_served(call: Call) -> None:
    """An IPv6 address stands in brackets in the endpoint."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with SandboxServer(SETTINGS, host="::1") as server, _connect(server) as connection:
        assert server.endpoint.startswith("http://[::1]:")
        connection.sendall(call(server))
        assert "Score" in _read_answer(connection)


def test_outside_its_block_a_server_is_nowhere() -> None:
    """Before entering there is no endpoint."""
    with pytest.raises(RuntimeError, match="outside its `with` block"):
        _ = SandboxServer(SETTINGS).endpoint


def test_server_is_entered_once(server: SandboxServer) -> None:
    """A server that is running is not started again."""
    with pytest.raises(RuntimeError, match="running already"):
        server.__enter__()


def test_unfinished_handshake_does_not_outlive_the_server(
    certificate: tuple[Path, ssl.SSLContext], capfd: pytest.CaptureFixture[str]
) -> None:
    """A peer that never says anything under TLS is dropped like the others."""
    server = SandboxServer(SETTINGS, ssl_certfile=certificate[0])
    with server, _connect(server) as connection:
        connection.sendall(b"\x16")
        with _connect(server) as other, contextlib.suppress(ConnectionError, ssl.SSLError):
            certificate[1].wrap_socket(other, server_hostname="127.0.0.1").close()
        server.__exit__(None, None, None)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        server.__enter__()
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_counts_are_reset_from_any_thread(server: SandboxServer, call: Call) -> None:
    """A test that shares a server begins with a reset."""
    with _connect(server) as connection:
        connection.sendall(call(server))
        _read_answer(connection)
    server.reset()
    assert server.statistics() == SandboxStatistics()


def test_quota_is_set_from_any_thread(call: Call) -> None:
    """A test goes from quota to quota beside a server that runs."""
    settings = SandboxSettings(faces=False, clock=lambda: 7.5)
    are_scored = []
    with SandboxServer(settings) as server, _connect(server) as connection:
        for limit in (50, 1, 50):
            server.set_quota(limit)
            connection.sendall(call(server))
            are_scored.append("Score" in _read_answer(connection))
    assert are_scored == [True, False, True]


def test_failure_to_start_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in the thread before it listens is raised where the server is entered."""

    async def fail(*_: object, **__: object) -> None:
        raise OSError("no more files")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_server", fail)
    with pytest.raises(OSError, match="no more files"):
        SandboxServer(SETTINGS).__enter__()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for loopback, and a client's context that trusts it."""
    authority = trustme.CA()
    path = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return path, context


def test_tls_is_served(sign: Sign, certificate: tuple[Path, ssl.SSLContext]) -> None:
    """With a certificate it is HTTPS."""
    path, context = certificate
    with SandboxServer(SETTINGS, ssl_certfile=path) as server, httpx.Client(verify=context) as client:
        headers = sign(BODY, host=server.endpoint.partition("://")[2])
        assert server.endpoint.startswith("https://")
        assert "Score" in client.post(server.endpoint, content=BODY, headers=headers).json()["Response"]


def test_tls_is_reset_as_well(call: Call, certificate: tuple[Path, ssl.SSLContext]) -> None:
    """Under TLS a reset is a TCP RST too."""
    path, context = certificate
    with SandboxServer(SETTINGS, ssl_certfile=path) as server, _connect(server) as connection:
        _set_fault(server, fault="reset", at="answer")
        with context.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
            secured.setblocking(True)
            secured.sendall(call(server))
            # Read below TLS, which reports a reset as an end.
            with pytest.raises(ConnectionResetError):
                _read_below(secured)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificate_that_cannot_be_loaded_is_named(tmp_path: Path, content: str | None) -> None:
    """A missing or wrong certificate is one clear error."""
    path = tmp_path / "server.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.ConfigurationError, match=r"server\.pem cannot be loaded"):
        SandboxServer(SETTINGS, ssl_certfile=path).__enter__()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_ends_on_a_signal(number: signal.Signals) -> None:
    """`serve` says where it listens, ends on a signal, and puts signal handlers back."""
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    endpoints: list[str] = []

    def on_listening(endpoint: str) -> None:
        endpoints.append(endpoint)
        signal.raise_signal(number)

    assert serve(SETTINGS, on_listening=on_listening) == SandboxStatistics()
    assert endpoints[0].startswith("http://127.0.0.1:")
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_foreground_needs_no_callback(unused_port: int) -> None:
    """`serve` also serves where nobody asks for its endpoint."""
    stopper = threading.Thread(target=_stop_when_served, args=(unused_port,))
    stopper.start()
    assert serve(SETTINGS, port=unused_port).calls == 1
    stopper.join()


def _stop_when_served(port: int) -> None:
    """Send this process SIGTERM once the port answers: before, nobody would handle it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE, trust_env=False)
        except httpx.ConnectError:
            os.sched_yield()
            continue
        os.kill(os.getpid(), signal.SIGTERM)
        return


def test_foreground_reports_a_port_in_use(server: SandboxServer) -> None:
    """The command's port conflict is the same clear error."""
    with pytest.raises(errors.ConfigurationError, match="is in use"):
        serve(SETTINGS, port=int(server.endpoint.rpartition(":")[2]))
