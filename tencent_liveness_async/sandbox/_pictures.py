"""Whether a picture keeps the API's limits and can be decoded to its last pixel.

All of it takes long and belongs into a thread.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from io import BytesIO

from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin

from ._answers import RefusalError

MAX_ENCODED_SIZE = 5 * 1024 * 1024
MAX_SIZE = MAX_ENCODED_SIZE // 4 * 3
MAX_LONG_SIDE_JPEG = 4000
MAX_LONG_SIDE_OTHER = 2000
MIN_SHORT_SIDE = 64

_CHUNK = 1 << 18
_READERS: tuple[tuple[bytes, type[ImageFile.ImageFile], int], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile, MAX_LONG_SIDE_JPEG),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile, MAX_LONG_SIDE_OTHER),
    (b"BM", BmpImagePlugin.BmpImageFile, MAX_LONG_SIDE_OTHER),
)
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_base64(text: bytes | str) -> bytes:
    """Return the bytes of Base64 text.

    It is decoded in pieces, between which other threads run: 5 MB at once hold the interpreter
    for 10 ms.

    Raises:
        RefusalError: It is too long, or not Base64.
    """
    if len(text) > MAX_ENCODED_SIZE:
        raise RefusalError("FailedOperation.ImageSizeExceed", str(len(text)))
    try:
        encoded = text.encode("ascii") if isinstance(text, str) else text
        return b"".join(
            _decode_piece(encoded[start : start + _CHUNK], is_last=start + _CHUNK >= len(encoded))
            for start in range(0, len(encoded), _CHUNK)
        )
    except ValueError:
        raise RefusalError("FailedOperation.ImageDecodeFailed", "Base64") from None


def _decode_piece(piece: bytes, *, is_last: bool) -> bytes:
    data = binascii.a2b_base64(piece, strict_mode=True)
    padding = piece[-2:].count(b"=") if is_last else 0
    if len(data) != len(piece) // 4 * 3 - padding:
        raise ValueError("padding in the wrong place")
    return data


def decode_picture(data: bytes) -> Image.Image:
    """Decode a PNG, JPEG or BMP in full.

    Its size is read from its header and checked before any pixel is decoded.

    Raises:
        RefusalError: It breaks a limit, or cannot be decoded.
    """
    if len(data) > MAX_SIZE:
        raise RefusalError("FailedOperation.ImageSizeExceed", str(len(data)))
    for magic, reader, max_long_side in _READERS:
        if data.startswith(magic):
            return _decode(data, reader, max_long_side)
    raise RefusalError("FailedOperation.ImageDecodeFailed")


def _decode(data: bytes, reader: type[ImageFile.ImageFile], max_long_side: int) -> Image.Image:
    try:
        image = reader(BytesIO(data))
        _check_sides(image.size, max_long_side)
        image.load()
    except _DECODING_ERRORS:
        raise RefusalError("FailedOperation.ImageDecodeFailed") from None
    return image


def _check_sides(size: tuple[int, int], max_long_side: int) -> None:
    detail = f"{size[0]} x {size[1]}"
    if max(size) > max_long_side:
        raise RefusalError("FailedOperation.ImageResolutionExceed", detail)
    if min(size) < MIN_SHORT_SIDE:
        raise RefusalError("FailedOperation.ImageResolutionTooSmall", detail)
