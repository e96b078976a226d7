"""The request body: a photo in Base64, or a URL the service downloads it from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from pybase64 import b64encode

from .signing import UNSIGNED_PAYLOAD_SHA256, hash_payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterable


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A body that is ready to be signed and sent, as often as needed.

    Attributes:
        content: The JSON text, whole or in chunks. Never shown.
        content_length: Its bytes.
        sha256: What the signature covers: the content's hash, or that of `UNSIGNED-PAYLOAD`.
    """

    content: bytes | AsyncIterable[bytes] = field(repr=False)
    content_length: int
    sha256: str


def frame_image(model_version: str | None) -> tuple[bytes, bytes]:
    """Return what stands before and behind the Base64 of a photo.

    Base64 needs no JSON escaping, so the body is a prefix, the encoded bytes and a suffix: 15 times
    faster than a JSON encoder over the encoded text.
    """
    return b'{"Image":"', b'"' + _model_field(model_version) + b"}"


def encode_chunk(data: bytes | bytearray | memoryview) -> bytes:
    """Return a part of a photo in Base64; all parts but the last have a multiple of 3 bytes."""
    return b64encode(data)


def build_image_body(data: bytes, *, model_version: str | None = None, is_signed: bool = True) -> RequestBody:
    """Build the body that carries a photo, whole.

    Args:
        data: The photo's encoded bytes, sent unchanged.
        model_version: The face model that shall judge; None leaves it to the service.
        is_signed: False skips hashing the content.
    """
    prefix, suffix = frame_image(model_version)
    return _finish(prefix + encode_chunk(data) + suffix, is_signed=is_signed)


def build_url_body(url: str, *, model_version: str | None = None, is_signed: bool = True) -> RequestBody:
    """Build the body that names a photo by its URL."""
    content = b"".join((b'{"Url":', orjson.dumps(url), _model_field(model_version), b"}"))
    return _finish(content, is_signed=is_signed)


def _model_field(model_version: str | None) -> bytes:
    return b"" if model_version is None else b',"FaceModelVersion":' + orjson.dumps(model_version)


def _finish(content: bytes, *, is_signed: bool) -> RequestBody:
    payload_sha256 = hash_payload(content) if is_signed else UNSIGNED_PAYLOAD_SHA256
    return RequestBody(content, len(content), payload_sha256)
