"""A stub of the service, in processes of its own: it reads a request, waits, and answers with a score of 99.

It is written for speed, because it must not be what is measured: bodies are counted and thrown away, and
several processes share one port. `python -m benchmarks.stub FD LATENCY [PEM]` serves on an inherited socket.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENCY = 0.02
"""Seconds an answer takes: long enough that photos in flight really are."""

SCORE = 99
_CONTENT = (
    b'{"Response":{"Score":99,"FaceModelVersion":"3.0","RequestId":"0f5e9ee8-0000-4000-8000-000000000000"}}'
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_CONTENT), _CONTENT)
)
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where a peer sends its calls.

    Attributes:
        url: Scheme, host and port.
        ca_file: The certificate to trust, for https.
    """

    url: str
    ca_file: str | None = None

    @property
    def host(self) -> str:
        """The value of the Host header, which is signed."""
        return self.url.partition("://")[2]

    @property
    def address(self) -> tuple[str, int]:
        """What a socket connects to."""
        host, _, port = self.host.partition(":")
        return host, int(port)

    def read_certificate(self) -> bytes | None:
        """Return the certificate to trust, in PEM."""
        return Path(self.ca_file).read_bytes() if self.ca_file else None

    def make_context(self) -> ssl.SSLContext | None:
        """Return the SSL context of a peer; None over http."""
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None


class _Connection(asyncio.BufferedProtocol):
    """One connection: heads are searched for their length, bodies only counted.

    All connections of a process read into one buffer, because what is read is used before the next read.
    """

    buffer = memoryview(bytearray(_READ_BYTES))

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._left = 0
        self._is_in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return what to read into."""
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count a body's bytes; find the end of a head."""
        if self._is_in_body:
            self._left -= nbytes
        else:
            self._head += self.buffer[:nbytes]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._left = _find_length(self._head[:end].lower()) - (len(self._head) - end - 4)
            self._head = b""
            self._is_in_body = True
        if self._left <= 0:
            self._is_in_body = False
            self._loop.call_later(self._latency, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


def _find_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise ValueError("a request without Content-Length")
    return int(head[at + 17 :].split(b"\r\n", 1)[0])


async def _serve(listener: socket.socket, latency: float, context: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(latency), sock=listener, ssl=context, backlog=2048)
    print("ready", flush=True)
    await server.serve_forever()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


@dataclass(frozen=True, slots=True)
class Stub:
    """A running stub.

    Attributes:
        target: Where it listens.
        pids: Its processes.
    """

    target: Target
    pids: tuple[int, ...]

    def read_cpu_seconds(self) -> float:
        """Return the CPU its processes have used so far."""
        return sum(_read_cpu_seconds(pid) for pid in self.pids)


@contextmanager
def run_stub(*, is_tls: bool = False, latency: float = LATENCY) -> Iterator[Stub]:
    """Serve on loopback, with one process for each core, for as long as the context lasts."""
    with TemporaryDirectory() as folder:
        ca_file, pem = _make_certificates(Path(folder)) if is_tls else (None, None)
        first = _listen(0)
        port = first.getsockname()[1]
        listeners = [first, *(_listen(port) for _ in range((os.cpu_count() or 1) - 1))]
        processes = [_start(listener, latency, pem) for listener in listeners]
        try:
            for process in processes:
                assert process.stdout is not None
                if process.stdout.readline().strip() != b"ready":
                    raise RuntimeError("the stub did not start")
            url = f"{'https' if is_tls else 'http'}://127.0.0.1:{port}"
            yield Stub(Target(url, ca_file), tuple(process.pid for process in processes))
        finally:
            for process in processes:
                process.kill()
                process.communicate()


def _start(listener: socket.socket, latency: float, pem: str | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.stub", str(listener.fileno()), str(latency)]
    with listener:
        return subprocess.Popen(
            [*command, pem] if pem else command, pass_fds=[listener.fileno()], stdout=subprocess.PIPE
        )


def _make_certificates(folder: Path) -> tuple[str, str]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    ca_file, pem = folder / "ca.pem", folder / "stub.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
    return str(ca_file), str(pem)


def _read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Serve on the socket, with the latency and the certificate, that the arguments name."""
    descriptor, latency, *pem = sys.argv[1:]
    context = None
    if pem:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem[0])
    asyncio.run(_serve(socket.socket(fileno=int(descriptor)), float(latency), context))


if __name__ == "__main__":
    main()
