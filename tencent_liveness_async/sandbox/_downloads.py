"""Photos by URL: whether the URL is one, and how it is downloaded, from loopback only."""

from __future__ import annotations

import http.client
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from ._answers import RefusalError
from ._pictures import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection

_CHUNK = 65_536


def parse_url(url: str) -> SplitResult:
    """Split a URL.

    Raises:
        RefusalError: It is not an http or https address.
    """
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise RefusalError("InvalidParameterValue.UrlIllegal") from None
    if parts.scheme not in ("http", "https") or not is_address or _has_space(url):
        raise RefusalError("InvalidParameterValue.UrlIllegal")
    return parts


def _has_space(url: str) -> bool:
    return " " in url or not url.isprintable()


def download(url: str, *, allowed: Collection[str], timeout: float) -> bytes:
    """Download a photo; blocks, and so belongs into a thread.

    Redirects are not followed. Only plain http from a loopback address is downloaded.

    Args:
        url: Where from.
        allowed: The `host:port` that may be asked.
        timeout: Seconds for all of it.

    Raises:
        RefusalError: The address is not allowed, does not answer with a photo, or in time.
    """
    parts = parse_url(url)
    host, port = parts.hostname or "", parts.port or 80
    if parts.scheme != "http" or f"{host}:{port}" not in allowed or not _is_loopback(host):
        raise RefusalError("FailedOperation.ImageDownloadError", f"{host}:{port}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        return _get(connection, target, until=time.monotonic() + timeout)
    except (OSError, http.client.HTTPException, ValueError):
        raise RefusalError("FailedOperation.ImageDownloadError", f"{host}:{port}") from None
    finally:
        connection.close()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _get(connection: http.client.HTTPConnection, target: str, *, until: float) -> bytes:
    connection.request("GET", target)
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"status {response.status}")
    data = bytearray()
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > MAX_SIZE:
            raise RefusalError("FailedOperation.ImageSizeExceed")
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(data)
