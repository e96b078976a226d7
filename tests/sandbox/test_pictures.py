from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox._answers import RefusalError
from tencent_liveness_async.sandbox._pictures import MAX_ENCODED_SIZE, decode_base64, decode_picture

if TYPE_CHECKING:
    from collections.abc import Callable


def _find_code(function: Callable[[bytes], object], data: bytes) -> str | None:
    try:
        function(data)
    except RefusalError as refusal:
        return refusal.code
    return None


@given(st.binary(max_size=200))
def test_base64_is_decoded(data: bytes) -> None:
    """What was encoded comes back, as text or as bytes."""
    encoded = base64.b64encode(data)
    assert decode_base64(encoded) == decode_base64(encoded.decode()) == data


@pytest.mark.parametrize("size", [196_607, 196_608, 196_609, 400_000, MAX_ENCODED_SIZE // 4 * 3])
def test_long_base64_is_decoded_in_pieces(size: int) -> None:
    """Pieces join without a gap at any length."""
    data = bytes(range(256)) * (size // 256 + 1)
    assert decode_base64(base64.b64encode(data[:size])) == data[:size]


@pytest.mark.parametrize(
    "text",
    [b"QUJ", b"QU=JD", b"QUJD\n", b"QUJD====", b"data:image/png;base64,QUJD", "照片", b"QU==" * 70_000],
)
def test_other_text_is_refused(text: bytes) -> None:
    """Line breaks, prefixes, padding inside and other signs are not Base64."""
    assert _find_code(decode_base64, text) == "FailedOperation.ImageDecodeFailed"


def test_base64_over_five_mebibytes_is_refused() -> None:
    """The limit is on the encoded text, and exact."""
    assert _find_code(decode_base64, b"A" * (MAX_ENCODED_SIZE + 1)) == "FailedOperation.ImageSizeExceed"
    assert _find_code(decode_base64, b"A" * MAX_ENCODED_SIZE) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_supported_formats_are_decoded(draw_picture: Callable[..., bytes], kind: str) -> None:
    """PNG, JPEG and BMP are decoded in full."""
    assert decode_picture(draw_picture(kind=kind)).size == (120, 160)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_other_formats_are_refused(draw_picture: Callable[..., bytes], kind: str) -> None:
    """Pictures the API does not take are not decoded, though Pillow could."""
    assert _find_code(decode_picture, draw_picture(kind=kind)) == "FailedOperation.ImageDecodeFailed"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_picture_is_refused(draw_picture: Callable[..., bytes], kind: str, share: float) -> None:
    """A picture that ends early is refused, wherever it ends."""
    data = draw_picture((300, 400), kind)
    code = _find_code(decode_picture, data[: int(len(data) * share)])
    assert code == "FailedOperation.ImageDecodeFailed"


@pytest.mark.parametrize("magic", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"])
@given(st.binary(max_size=300))
def test_damaged_picture_is_refused(magic: bytes, data: bytes) -> None:
    """Whatever follows the first bytes, the answer is a code."""
    assert str(_find_code(decode_picture, magic + data)).startswith("FailedOperation.Image")


@pytest.mark.parametrize(
    ("size", "kind", "code"),
    [
        ((64, 4000), "JPEG", None),
        ((64, 4001), "JPEG", "FailedOperation.ImageResolutionExceed"),
        ((2000, 64), "PNG", None),
        ((2001, 64), "PNG", "FailedOperation.ImageResolutionExceed"),
        ((64, 2001), "BMP", "FailedOperation.ImageResolutionExceed"),
        ((63, 100), "JPEG", "FailedOperation.ImageResolutionTooSmall"),
        ((100, 63), "PNG", "FailedOperation.ImageResolutionTooSmall"),
    ],
)
def test_sides_have_limits(
    draw_picture: Callable[..., bytes], size: tuple[int, int], kind: str, code: str | None
) -> None:
    """The long side may have 4000 pixels in a JPEG and 2000 in others, the short one has 64."""
    assert _find_code(decode_picture, draw_picture(size, kind)) == code


def test_bomb_is_refused_by_its_header() -> None:
    """A header that promises 10 gigapixels is refused before a pixel is decoded."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    pixels = zlib.compress(bytes(1_000_000))
    data += struct.pack(">I", len(pixels)) + b"IDAT" + pixels
    assert _find_code(decode_picture, data) == "FailedOperation.ImageResolutionExceed"


def test_file_over_its_limit_is_refused() -> None:
    """A downloaded file that would be over 5 MB after Base64 is refused."""
    assert _find_code(decode_picture, bytes(3_932_161)) == "FailedOperation.ImageSizeExceed"
