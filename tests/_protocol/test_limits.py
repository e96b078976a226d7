from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._errors import PhotoRejectedError
from tencent_liveness_async._protocol.body import build_url_body
from tencent_liveness_async._protocol.limits import (
    MAX_ENCODED_BYTES,
    PhotoFormat,
    PhotoHeader,
    check_encoded_size,
    check_photo,
    check_url,
    compute_encoded_size,
)

FRAME_MARKERS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
NO_FRAME_MARKERS = (0xBF, 0xC4, 0xC8, 0xCC, 0xDB, 0xDD, 0xE0, 0xE1, 0xED, 0xFE)


def _make_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + b"IHDR" + header + bytes(4)


def _make_bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def _make_core_bmp(width: int, height: int) -> bytes:
    """Make the header of OS/2, with sides of 16 bits."""
    return b"BM" + struct.pack("<IHHI", 26, 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, 24)


def _make_segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _make_frame(width: int, height: int, marker: int = 0xC0) -> bytes:
    return _make_segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")


def _make_jpeg(width: int, height: int, *, marker: int = 0xC0, before: bytes = b"") -> bytes:
    app0 = _make_segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
    return b"\xff\xd8" + app0 + before + _make_frame(width, height, marker) + b"\xff\xda\x00\x08"


MAKERS = {PhotoFormat.PNG: _make_png, PhotoFormat.BMP: _make_bmp, PhotoFormat.JPEG: _make_jpeg}

every_format = pytest.mark.parametrize("photo_format", MAKERS, ids=lambda found: found.value)
every_photo = pytest.mark.parametrize(
    "photo",
    [_make_png(640, 480), _make_bmp(640, -480), _make_core_bmp(640, 480), _make_jpeg(640, 480)],
    ids=["PNG", "BMP", "core BMP", "JPEG"],
)


def _reject(photo: bytes, *, rule: str) -> PhotoRejectedError:
    """Return the error of a photo that has to be rejected for `rule`."""
    with pytest.raises(PhotoRejectedError) as caught:
        check_photo(photo, name="selfie.jpg")
    assert caught.value.rule == rule
    assert caught.value.is_billed is False
    assert "selfie.jpg" in str(caught.value)
    return caught.value


@every_format
@pytest.mark.parametrize(("width", "height"), [(480, 640), (640, 480), (64, 2000), (2000, 64), (258, 513)])
def test_size_is_read_from_the_header(photo_format: PhotoFormat, width: int, height: int) -> None:
    """The format and the sides come from the photo's first bytes."""
    photo = MAKERS[photo_format](width, height)
    assert check_photo(photo) == PhotoHeader(photo_format, width, height)


def test_bmp_with_rows_from_the_top_has_its_height() -> None:
    """A negative height of a BMP only turns its rows round."""
    assert check_photo(_make_bmp(480, -640)) == PhotoHeader(PhotoFormat.BMP, 480, 640)
    assert _reject(_make_bmp(480, -2001), rule="long_side").value == 2001


def test_bmp_with_negative_width_is_rejected() -> None:
    """A negative width of a BMP is no width."""
    assert _reject(_make_bmp(-480, 640), rule="short_side").value == -480


def test_core_bmp_has_sides_of_16_bits() -> None:
    """The short header of OS/2 is read as such."""
    assert check_photo(_make_core_bmp(480, 640)) == PhotoHeader(PhotoFormat.BMP, 480, 640)


@pytest.mark.parametrize("marker", FRAME_MARKERS, ids=hex)
def test_jpeg_size_is_read_from_every_kind_of_frame(marker: int) -> None:
    """A JPEG's sides stand behind any of the 13 frame markers."""
    assert check_photo(_make_jpeg(480, 640, marker=marker)) == PhotoHeader(PhotoFormat.JPEG, 480, 640)


@pytest.mark.parametrize("marker", NO_FRAME_MARKERS, ids=hex)
def test_jpeg_segments_before_the_frame_are_stepped_over(marker: int) -> None:
    """Tables, comments and application data before the frame are not taken for it, whatever they hold."""
    before = _make_segment(marker, bytes([8]) + struct.pack(">HH", 9, 9) + _make_frame(9, 9))
    assert check_photo(_make_jpeg(480, 640, before=before)) == PhotoHeader(PhotoFormat.JPEG, 480, 640)


def test_jpeg_thumbnail_inside_exif_is_stepped_over() -> None:
    """The frame of a thumbnail inside the EXIF data does not give the photo's sides."""
    exif = _make_segment(0xE1, b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + _make_jpeg(160, 120))
    photo = _make_jpeg(3000, 4000)
    for found in (_make_jpeg(3000, 4000, before=exif), photo[:2] + exif + photo[2:]):
        assert check_photo(found) == PhotoHeader(PhotoFormat.JPEG, 3000, 4000)


@pytest.mark.parametrize(
    "before",
    [b"\xff", b"\xff" * 300, b"\xff\x01", b"\xff\xd0\xff\xd7", b"\xff\x01\xff\xff\xff\xd3\xff"],
    ids=["one fill byte", "many fill bytes", "TEM", "restarts", "mixed"],
)
def test_jpeg_fill_bytes_and_bare_markers_are_stepped_over(before: bytes) -> None:
    """Fill bytes, and markers that have no length, may stand before a segment."""
    assert check_photo(_make_jpeg(480, 640, before=before)) == PhotoHeader(PhotoFormat.JPEG, 480, 640)


@pytest.mark.parametrize("junk", [b"\x00", b"\x00\x00\x00", b"junk", b"\xff\x00", b"\x00\xff\xff\x00\xff"])
def test_jpeg_junk_between_segments_is_stepped_over(junk: bytes) -> None:
    """Bytes between two segments are skipped, as libjpeg skips them: such a photo can be decoded."""
    assert check_photo(_make_jpeg(480, 640, before=junk)) == PhotoHeader(PhotoFormat.JPEG, 480, 640)


@pytest.mark.parametrize("marker", [0xDA, 0xD9], ids=["scan", "end"])
def test_jpeg_without_a_frame_before_its_scan_is_rejected(marker: int) -> None:
    """A frame that comes only after the picture data, or after the end, is none."""
    photo = _make_jpeg(480, 640, before=_make_segment(marker, b"\x01\x01\x00\x00\x3f\x00"))
    assert "no frame header" in str(_reject(photo, rule="header"))


@pytest.mark.parametrize("length", [0, 1])
def test_jpeg_segment_without_room_for_its_length_is_rejected(length: int) -> None:
    """A segment counts the two bytes of its own length, so that a shorter one is damaged."""
    before = b"\xff\xe1" + struct.pack(">H", length)
    _reject(_make_jpeg(480, 640, before=before), rule="header")


@pytest.mark.parametrize("length", [0, 1, 7])
def test_jpeg_frame_that_is_too_short_is_rejected(length: int) -> None:
    """A frame whose length leaves no room for its sides is not read beyond that length."""
    photo = b"\xff\xd8\xff\xc0" + struct.pack(">H", length) + bytes(20)
    _reject(photo, rule="header")


@pytest.mark.parametrize(
    ("photo", "needed"),
    [
        (_make_png(640, 480), 24),
        (_make_bmp(640, 480), 26),
        (_make_core_bmp(640, 480), 26),
        (_make_jpeg(640, 480), len(_make_jpeg(640, 480)) - 4),
    ],
    ids=["PNG", "BMP", "core BMP", "JPEG"],
)
def test_photo_cut_off_in_its_header_is_rejected(photo: bytes, needed: int) -> None:
    """A photo cut off at any byte of its header is rejected; one more byte and it is not."""
    for end in range(1, needed):
        with pytest.raises(PhotoRejectedError) as caught:
            check_photo(photo[:end])
        assert caught.value.rule in {"format", "header"}
    assert check_photo(photo[:needed]).width == 640


def test_png_without_its_first_chunk_is_rejected() -> None:
    """A PNG begins with its IHDR chunk; the sides are not read from another."""
    assert "IHDR" in str(_reject(_make_png(640, 480).replace(b"IHDR", b"IDAT"), rule="header"))


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"]), st.binary(max_size=300))
def test_any_bytes_are_a_header_or_rejected(magic: bytes, tail: bytes) -> None:
    """Whatever a file holds, it has a header within the limits or is rejected, with no other error."""
    try:
        header = check_photo(magic + tail)
    except PhotoRejectedError:
        return
    assert min(header.width, header.height) >= 64
    assert max(header.width, header.height) <= (4000 if header.format is PhotoFormat.JPEG else 2000)


@every_photo
@given(data=st.data())
def test_damaged_header_is_a_header_or_rejected(photo: bytes, data: st.DataObject) -> None:
    """A photo with damaged bytes has a header or is rejected, with no other error."""
    start = data.draw(st.integers(0, len(photo)))
    end = data.draw(st.integers(start, len(photo)))
    damaged = photo[:start] + data.draw(st.binary(max_size=8)) + photo[end:]
    try:
        header = check_photo(damaged)
    except PhotoRejectedError:
        return
    assert isinstance(header, PhotoHeader)


@given(st.integers(64, 4000), st.integers(64, 4000), st.lists(st.binary(max_size=60), max_size=5), st.data())
def test_any_segments_before_the_frame_are_stepped_over(
    width: int, height: int, payloads: list[bytes], data: st.DataObject
) -> None:
    """A JPEG's sides are found behind any segments with any fill bytes between them."""
    before = b"".join(
        b"\xff" * data.draw(st.integers(0, 3))
        + _make_segment(data.draw(st.sampled_from(NO_FRAME_MARKERS)), payload)
        for payload in payloads
    )
    photo = _make_jpeg(width, height, before=before)
    assert check_photo(photo) == PhotoHeader(PhotoFormat.JPEG, width, height)


@pytest.mark.parametrize(
    ("photo_format", "longest"),
    [(PhotoFormat.JPEG, 4000), (PhotoFormat.PNG, 2000), (PhotoFormat.BMP, 2000)],
    ids=["JPEG", "PNG", "BMP"],
)
def test_long_side_has_a_limit(photo_format: PhotoFormat, longest: int) -> None:
    """The long side, either one, may have 4000 pixels in a JPEG and 2000 in the others, and not one more."""
    make = MAKERS[photo_format]
    assert check_photo(make(longest, longest)).width == longest
    for width, height in ((longest + 1, 100), (100, longest + 1)):
        error = _reject(make(width, height), rule="long_side")
        assert (error.value, error.limit) == (longest + 1, longest)
        assert f"{width} x {height} pixels" in str(error)
        assert f"at most {longest}" in str(error)
        assert photo_format.value in str(error)


@pytest.mark.parametrize("photo_format", [PhotoFormat.PNG, PhotoFormat.BMP], ids=["PNG", "BMP"])
def test_sides_have_four_bytes(photo_format: PhotoFormat) -> None:
    """The sides of a PNG or BMP are read whole: a huge one does not pass for its last bytes."""
    for huge in (2**24 + 100, 2**30 + 100):
        assert _reject(MAKERS[photo_format](huge, 100), rule="long_side").value == huge
        assert _reject(MAKERS[photo_format](100, huge), rule="long_side").value == huge


@every_format
def test_short_side_has_a_limit(photo_format: PhotoFormat) -> None:
    """The short side, either one, has at least 64 pixels."""
    make = MAKERS[photo_format]
    assert check_photo(make(64, 64)).width == 64
    for width, height in ((63, 100), (100, 63), (0, 100), (100, 0)):
        error = _reject(make(width, height), rule="short_side")
        assert (error.value, error.limit) == (min(width, height), 64)
        assert f"{width} x {height} pixels" in str(error)
        assert "at least 64" in str(error)


def test_encoded_size_has_a_limit() -> None:
    """A photo may have 5 MiB in Base64, which are 3,932,160 bytes, and not one byte more."""
    photo = _make_jpeg(480, 640).ljust(3_932_160, b"\x00")
    assert check_photo(photo).height == 640
    error = _reject(photo + b"\x00", rule="encoded_size")
    assert (error.value, error.limit) == (5_242_884, 5_242_880)
    assert "5,242,884 bytes" in str(error)
    assert "at most 5,242,880" in str(error)


def test_encoded_size_is_checked_without_the_bytes() -> None:
    """A file's size alone tells whether its photo is too large."""
    check_encoded_size(3_932_160)
    with pytest.raises(PhotoRejectedError, match="a large file has 5,242,884 bytes") as caught:
        check_encoded_size(3_932_161, name="a large file")
    assert (caught.value.rule, caught.value.limit) == ("encoded_size", MAX_ENCODED_BYTES)


@given(st.integers(0, 10_000_000))
def test_encoded_size_is_that_of_base64(size: int) -> None:
    """Base64 turns each three bytes, begun or whole, into four."""
    assert compute_encoded_size(size) == 4 * -(-size // 3)


def test_empty_photo_is_rejected() -> None:
    """No bytes are no photo."""
    error = _reject(b"", rule="empty")
    assert (error.value, error.limit) == (0, 1)
    assert "no bytes" in str(error)


@pytest.mark.parametrize(
    ("photo", "found"),
    [
        (b"GIF87a" + bytes(20), "GIF"),
        (b"GIF89a" + bytes(20), "GIF"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(20), "WebP"),
        *((b"\x00\x00\x00\x18ftyp" + brand + bytes(20), "HEIC") for brand in (b"heic", b"heix", b"hevc")),
        *((b"\x00\x00\x00\x18ftyp" + brand + bytes(20), "HEIC") for brand in (b"mif1", b"msf1")),
        *((b"\x00\x00\x00\x1cftyp" + brand + bytes(20), "AVIF") for brand in (b"avif", b"avis")),
        (b"II*\x00" + bytes(20), "TIFF"),
        (b"MM\x00*" + bytes(20), "TIFF"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(20), "unknown"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20), "unknown"),
        (b"%PDF-1.7", "unknown"),
        (b"<html>", "unknown"),
        (b"\xff\xd8", "unknown"),
        (b"\x89PNG", "unknown"),
        (b"B", "unknown"),
    ],
)
def test_other_formats_are_rejected_by_name(photo: bytes, found: str) -> None:
    """A format that the API does not take is named in the refusal, with those that it takes."""
    error = _reject(photo, rule="format")
    assert (error.value, error.limit) == (found, "PNG, JPEG, BMP")
    assert f"has {found} format" in str(error)
    assert "PNG, JPEG and BMP" in str(error)


def test_large_file_of_another_format_is_rejected_for_its_format() -> None:
    """The format is named first: making a GIF smaller would not help."""
    _reject(b"GIF89a" + bytes(4_000_000), rule="format")


@every_photo
def test_refused_header_is_explained(photo: bytes) -> None:
    """A header that is cut off is explained, with the reason as the value."""
    error = _reject(photo[:20], rule="header")
    assert isinstance(error.value, str)
    assert error.value in str(error)
    assert error.limit == "a whole header"


def test_photo_without_a_name_is_the_photo() -> None:
    """A message calls a photo without a name `the photo`."""
    with pytest.raises(PhotoRejectedError, match=r"^the photo has no bytes"):
        check_photo(b"")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/a.jpg?sign=a%20b#c",
        "HTTPS://EXAMPLE.COM/A.JPG",
        "https://[::1]:8443/a",
        "https://例え.jp/写真.jpg",
    ],
)
def test_http_url_with_a_host_is_accepted(url: str) -> None:
    """An http or https URL with a host is one the service could download from."""
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/a.jpg",
        "//example.com/a.jpg",
        "ftp://example.com/a.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://",
        "https:///a.jpg",
        "https://:443/a.jpg",
        "https://?host",
        "https://[::1/a.jpg",
        "https://example.com/a b.jpg",
        "https://example.com/a.jpg\n",
        "https://example.com/a\tb.jpg",
        " https://example.com/a.jpg",
        "\x01https://example.com/a.jpg",
        "https://example.com/\x00.jpg",
        "https://example.com/\udcff.jpg",
    ],
)
def test_other_url_is_rejected(url: str) -> None:
    """What is not an http or https URL with a host, or cannot be sent, is rejected before sending."""
    with pytest.raises(PhotoRejectedError, match="photo 7 has no usable URL") as caught:
        check_url(url, name="photo 7")
    assert (caught.value.rule, caught.value.limit) == ("url", "http(s)://host/...")
    assert caught.value.value == url.partition("?")[0]


@given(st.text(st.characters(), max_size=60) | st.text(st.characters()).map("https://example.com/".__add__))
def test_any_text_is_a_url_or_rejected(text: str) -> None:
    """Whatever text stands for a URL, it is accepted and can be sent, or it is rejected."""
    try:
        check_url(text)
    except PhotoRejectedError:
        return
    assert text.lower().startswith(("http://", "https://"))
    content = build_url_body(text).content
    assert isinstance(content, bytes)
    assert json.loads(content) == {"Url": text}


def test_query_of_a_rejected_url_is_not_shown() -> None:
    """The query of a URL, which may hold a signature, is in no part of the error."""
    with pytest.raises(PhotoRejectedError) as caught:
        check_url("https:///a.jpg?sign=secret")
    assert "secret" not in f"{caught.value} {caught.value.value} {caught.value!r}"
