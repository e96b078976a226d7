"""The API's limits on photos, checked before sending, from the header bytes alone.

Nothing is decoded: a photo that passes can still be refused by the service, but one that is rejected
here would have been refused there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from .._errors import PhotoRejectedError

MAX_ENCODED_BYTES = 5 * 1024 * 1024
"""The API page allows 5 MB of Base64, which is 3.75 MB of file."""
MAX_LONG_SIDE_JPEG = 4000
MAX_LONG_SIDE_OTHERS = 2000
MIN_SHORT_SIDE = 64

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_REFUSED_MAGICS = (
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftypavi", "AVIF"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
)

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff]")
_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_SCAN_MARKERS = frozenset({0xD9, 0xDA})


class PhotoFormat(Enum):
    """The formats the API takes."""

    PNG = "PNG"
    JPEG = "JPEG"
    BMP = "BMP"


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """What a photo's header says.

    Attributes:
        format: Its format, by its first bytes.
        width: Pixels, as stored; an EXIF rotation is not applied.
        height: Pixels, as stored.
    """

    format: PhotoFormat
    width: int
    height: int


def check_photo(data: bytes, *, size: int | None = None, name: str = "the photo") -> PhotoHeader:
    """Check a photo's bytes against the API's limits.

    Args:
        data: The photo's encoded bytes, or the first of them.
        size: How many there are in all; by default as many as are given.
        name: How messages call the photo.

    Raises:
        PhotoRejectedError: The photo breaks a limit. It has not been sent and costs nothing.
    """
    if not data:
        raise PhotoRejectedError(f"{name} has no bytes", rule="empty", value=0, limit=1)
    photo_format = _find_format(data, name)
    check_encoded_size(len(data) if size is None else size, name=name)
    try:
        width, height = _SIZE_READERS[photo_format](data)
    except (IndexError, ValueError) as exc:
        raise PhotoRejectedError(
            f"{name} is not a usable {photo_format.value}: {exc}",
            rule="header",
            value=str(exc),
            limit="a whole header",
        ) from exc
    _check_sides(photo_format, width, height, name)
    return PhotoHeader(photo_format, width, height)


def check_encoded_size(size: int, *, name: str = "the photo") -> None:
    """Check a photo's size in bytes, without its bytes.

    Raises:
        PhotoRejectedError: It has more in Base64 than the API takes.
    """
    encoded = compute_encoded_size(size)
    if encoded > MAX_ENCODED_BYTES:
        raise PhotoRejectedError(
            f"{name} has {encoded:,} bytes in Base64; the API takes at most {MAX_ENCODED_BYTES:,}",
            rule="encoded_size",
            value=encoded,
            limit=MAX_ENCODED_BYTES,
        )


def check_url(url: str, *, name: str = "the photo") -> None:
    """Check that `url` is one the service could download a photo from.

    Raises:
        PhotoRejectedError: It is not an http or https URL with a host.
    """
    try:
        url.encode()  # a text with lone surrogates, as undecodable file names have, cannot be sent
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable or any(character.isspace() or character < " " for character in url):
        raise PhotoRejectedError(
            f"{name} has no usable URL; it must be http or https with a host and without spaces",
            rule="url",
            value=url.partition("?")[0],
            limit="http(s)://host/...",
        )


def compute_encoded_size(size: int) -> int:
    """Return how many bytes `size` bytes have in Base64."""
    return (size + 2) // 3 * 4


def _find_format(data: bytes, name: str) -> PhotoFormat:
    if data.startswith(b"\xff\xd8\xff"):
        return PhotoFormat.JPEG
    if data.startswith(_PNG_MAGIC):
        return PhotoFormat.PNG
    if data.startswith(b"BM"):
        return PhotoFormat.BMP
    found = next((text for at, magic, text in _REFUSED_MAGICS if data.startswith(magic, at)), "unknown")
    raise PhotoRejectedError(
        f"{name} has {found} format; the API takes PNG, JPEG and BMP",
        rule="format",
        value=found,
        limit="PNG, JPEG, BMP",
    )


def _check_sides(photo_format: PhotoFormat, width: int, height: int, name: str) -> None:
    longest = MAX_LONG_SIDE_JPEG if photo_format is PhotoFormat.JPEG else MAX_LONG_SIDE_OTHERS
    if max(width, height) > longest:
        raise PhotoRejectedError(
            f"{name} has {width} x {height} pixels; "
            f"the long side of a {photo_format.value} may have at most {longest}",
            rule="long_side",
            value=max(width, height),
            limit=longest,
        )
    if min(width, height) < MIN_SHORT_SIDE:
        raise PhotoRejectedError(
            f"{name} has {width} x {height} pixels; the short side must have at least {MIN_SHORT_SIDE}",
            rule="short_side",
            value=min(width, height),
            limit=MIN_SHORT_SIDE,
        )


def _read_png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR" or len(data) < 24:
        raise ValueError("its IHDR chunk is missing or cut off")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _read_bmp_size(data: bytes) -> tuple[int, int]:
    if len(data) < 26:
        raise ValueError("its header is cut off")
    if int.from_bytes(data[14:18], "little") == 12:
        return int.from_bytes(data[18:20], "little"), int.from_bytes(data[20:22], "little")
    width = int.from_bytes(data[18:22], "little", signed=True)
    height = int.from_bytes(data[22:26], "little", signed=True)
    return width, abs(height)  # a negative height means rows from the top


def _read_jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments up to the frame header, so that a thumbnail inside EXIF is stepped over."""
    at = 2
    while True:
        at, marker = _find_jpeg_marker(data, at)
        if marker in _JPEG_BARE_MARKERS:
            continue
        if marker in _JPEG_SCAN_MARKERS:
            raise ValueError("it has no frame header before its picture data")
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise ValueError("a segment before its frame header is cut off")
        if marker in _JPEG_FRAME_MARKERS:
            if length < 8:
                raise ValueError("its frame header is too short")
            height, width = data[at + 3 : at + 5], data[at + 5 : at + 7]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += length


def _find_jpeg_marker(data: bytes, at: int) -> tuple[int, int]:
    """Return where the next marker's segment begins, and the marker.

    Fill bytes, and bytes that belong to no segment, are skipped: libjpeg decodes such photos.
    """
    found = _JPEG_MARKER.search(data, at)
    if found is None:
        raise ValueError("it ends before its frame header")
    return found.end(), data[found.end() - 1]


_SIZE_READERS = {
    PhotoFormat.PNG: _read_png_size,
    PhotoFormat.JPEG: _read_jpeg_size,
    PhotoFormat.BMP: _read_bmp_size,
}
