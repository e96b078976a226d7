"""The request's headers: the common parameters of the platform and the signature."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from .._errors import ConfigurationError
from .._version import __version__
from .endpoint import SERVICE
from .signing import UNSIGNED_PAYLOAD, UNSIGNED_PAYLOAD_SHA256, build_authorization

if TYPE_CHECKING:
    from .body import RequestBody

ACTION = "DetectLiveFaceAccurate"
VERSION = "2020-03-03"
CONTENT_TYPE = "application/json"

Language: TypeAlias = Literal["en-US", "zh-CN"]

_REGION = re.compile(r"[a-z0-9-]+")
_REQUEST_CLIENT = f"tencent-liveness-async_{__version__}"


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """What all requests of a client have in common.

    Attributes:
        region: The region whose quota and log they belong to; the service ignores one it does not need.
        language: The language of the service's messages.
    """

    region: str
    language: Language

    def __post_init__(self) -> None:
        if not _REGION.fullmatch(self.region):
            raise ConfigurationError(f"{self.region!r} is not a region such as ap-guangzhou")
        if self.language not in get_args(Language):
            raise ConfigurationError(f"the language is en-US or zh-CN, not {self.language!r}")


def build_headers(
    body: RequestBody,
    settings: RequestSettings,
    *,
    host: str,
    secret_id: str,
    secret_key: str,
    token: str | None,
    timestamp: int,
) -> list[tuple[str, str]]:
    """Return the headers of one attempt, signed for `timestamp`.

    Args:
        body: What will be sent, and its hash.
        settings: The region and language.
        host: Where it will be sent; it is signed as it is sent.
        secret_id: The id of the key.
        secret_key: The key; it only enters the signature.
        token: The token of a temporary key.
        timestamp: UNIX seconds by the service's clock; more than five minutes off is refused.
    """
    authorization = build_authorization(
        secret_id=secret_id,
        secret_key=secret_key,
        service=SERVICE,
        timestamp=timestamp,
        headers=(("content-type", CONTENT_TYPE), ("host", host)),
        payload_sha256=body.sha256,
    )
    headers = [
        ("Host", host),
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(body.content_length)),
        ("Authorization", authorization),
        ("X-TC-Action", ACTION),
        ("X-TC-Version", VERSION),
        ("X-TC-Timestamp", str(timestamp)),
        ("X-TC-Region", settings.region),
        ("X-TC-Language", settings.language),
        ("X-TC-RequestClient", _REQUEST_CLIENT),
    ]
    if token is not None:
        headers.append(("X-TC-Token", token))
    if body.sha256 == UNSIGNED_PAYLOAD_SHA256:
        headers.append(("X-TC-Content-SHA256", UNSIGNED_PAYLOAD))
    return headers
