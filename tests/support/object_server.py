"""An S3-compatible server on the loopback, with faults."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Silent(WSGIRequestHandler):
    """Writes no log."""

    def log(self, *_: object) -> None:
        """Do nothing."""


@dataclass
class ObjectServer:
    """moto's server, which knows the bucket from the path or from the first part of the host.

    Attributes:
        url: Its address.
        fault_every: Every so many reads of objects fail, in turn by a 503, a reset and half a body; 0: none.
        is_broken: Whether every read of an object, and of a list beyond its first page, is answered by a 503.
        reads: Reads of objects so far.
        faults: How many of them failed.
        hosts: The hosts that were asked for.
        tokens: The session tokens that came with requests.
        most_at_once: The most reads under way at the same time.
    """

    url: str = ""
    fault_every: int = 0
    is_broken: bool = False
    reads: int = 0
    faults: int = 0
    hosts: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: Lock = field(default_factory=Lock)
    _application: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))

    def fill(self, bucket: str, objects: dict[str, bytes]) -> None:
        """Put objects into a bucket, which is made."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        if bucket not in backend.buckets:
            backend.create_bucket(bucket, "us-east-1")
        for key, data in objects.items():
            backend.put_object(bucket, key, data)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        self.hosts.add(environ["HTTP_HOST"])
        self.tokens.add(environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""))
        if self.is_broken and "continuation-token" in environ["QUERY_STRING"]:
            return _refuse(start_response)
        if environ["REQUEST_METHOD"] != "GET" or "list-type" in environ["QUERY_STRING"]:
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        with self._lock:
            self.reads += 1
            number = self.reads
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._read(number, environ, start_response)
        finally:
            with self._lock:
                self._at_once -= 1

    def _read(self, number: int, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_faulty = self.fault_every and number % self.fault_every == 0
        if not is_faulty and not self.is_broken:
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        with self._lock:
            self.faults += 1
            kind = 0 if self.is_broken else self.faults % 3
        if kind == 0:
            return _refuse(start_response)
        connection: socket.socket = environ["werkzeug.socket"]
        if kind == 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: x\r\n\r\nhalf")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError


def _refuse(start_response: Any) -> list[bytes]:
    start_response("503 Slow Down", [("Content-Length", "0")])
    return []


@contextmanager
def serving_objects() -> Iterator[ObjectServer]:
    """Run a server without buckets on a free port."""
    objects = ObjectServer()
    server = make_server("127.0.0.1", 0, objects, threaded=True, request_handler=_Silent)
    objects.url = f"http://127.0.0.1:{server.port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield objects
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
