"""Where the API is served."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SERVICE = "iai"
DEFAULT_ENDPOINT = "https://iai.tencentcloudapi.com"
DEFAULT_REGION = "ap-guangzhou"
"""Newer pages of the API require a region, older ones ignore it; so one is always sent."""

_RETURN_SECONDS = 60.0
_DEFAULT_PORTS = {"https": 443, "http": 80}
_ADDRESS = re.compile(r"https?://([0-9a-z._-]+|\[[0-9a-f:.]+\])(:[0-9]*)?/*", re.ASCII | re.IGNORECASE)
"""What `urlsplit` alone would let pass is refused: it drops line breaks and keeps spaces in a host."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address that calls are sent to.

    Attributes:
        url: Scheme, host and port, with a final slash.
        host: The value of the Host header, which is signed as it is sent.
    """

    url: str
    host: str

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Make an endpoint of a URL, or of a bare host, which means https.

        Raises:
            ConfigurationError: The text is not an address this API could be served at.
        """
        address = text if "://" in text else f"https://{text}"
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as exc:
            raise ConfigurationError(f"the endpoint {text!r} is not a URL: {exc}") from exc
        if parts.username is not None:
            raise ConfigurationError("the endpoint has a user name; it is a scheme, a host and a port")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigurationError(f"the endpoint {text!r} has more than a scheme, a host and a port")
        if not _ADDRESS.fullmatch(address) or not parts.hostname or port == 0:
            raise ConfigurationError(f"the endpoint {text!r} is not an http or https URL with a host")
        if parts.scheme == "http" and f".{parts.hostname}".rstrip(".").endswith(".tencentcloudapi.com"):
            raise ConfigurationError(f"the endpoint {text!r} must be https: the service takes nothing else")
        hostname = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        host = hostname if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{hostname}:{port}"
        return cls(url=f"{parts.scheme}://{host}/", host=host)


class Endpoints:
    """The endpoint to send to: the first, or a fall-back while those before it fail.

    Args:
        endpoints: In order of preference, at least one.
        now: Seconds of a clock that only goes forward.
    """

    def __init__(self, endpoints: Sequence[Endpoint], now: Callable[[], float]) -> None:
        self._endpoints = tuple(endpoints)
        self._now = now
        self._index = 0
        self._return_at = 0.0

    @property
    def current(self) -> Endpoint:
        """The endpoint for the next attempt."""
        if self._index and self._now() >= self._return_at:
            self._index = 0
        return self._endpoints[self._index]

    def note_failure(self, endpoint: Endpoint) -> None:
        """Hear that an endpoint gave no answer: the next serves for a minute, then the first again."""
        if endpoint == self.current:
            self._index = (self._index + 1) % len(self._endpoints)
            self._return_at = self._now() + _RETURN_SECONDS
