"""Make the photographs in `photos/` from ones that Python packages ship.

The files are committed, so this runs only to change them. It needs packages that are no dependency of
the project; give it an environment of its own:

    python3 -m venv scratch
    scratch/bin/pip install scikit-image matplotlib "opencv-python-headless>=4.10,<5"
    scratch/bin/python examples/make_photos.py

The committed files were made with scikit-image 0.26, matplotlib 3.11 and Pillow 13: the same versions
give the same bytes. Every file is checked after it was written: its format and pixels against the limits
of the API, its faces with OpenCV's frontal face cascade.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib as mpl
import numpy as np
import skimage.data
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Mapping

PHOTOS = Path(__file__).parent / "photos"
SCIKIT_IMAGE_DATA = Path(skimage.data.__file__).parent
MATPLOTLIB_DATA = Path(mpl.get_data_path()) / "sample_data"

MIN_FACE_SIDE = 100
MIN_SHORT_SIDE = 64
MAX_LONG_SIDE = {"JPEG": 4000}
MAX_LONG_SIDE_OTHERS = 2000

EXIF_ORIENTATION = 0x0112
EXIF_ROTATE_90_CLOCKWISE = 6


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a file has to be.

    Attributes:
        format: Pillow's name of its format.
        face_sides: The lowest and the highest allowed side of its one face in pixels; None: no face.
        is_within_pixel_limits: Whether its sides satisfy the API.
    """

    format: str
    face_sides: tuple[int, int] | None
    is_within_pixel_limits: bool = True


LARGE_FACE = (MIN_FACE_SIDE, 4000)
SMALL_FACE = (20, MIN_FACE_SIDE - 1)

EXPECTATIONS: Mapping[str, Expectation] = {
    "officer.jpg": Expectation("JPEG", LARGE_FACE),
    "officer-rotated-by-exif.jpg": Expectation("JPEG", LARGE_FACE),
    "officer.bmp": Expectation("BMP", LARGE_FACE),
    "astronaut.png": Expectation("PNG", LARGE_FACE),
    "astronaut-progressive.jpg": Expectation("JPEG", LARGE_FACE),
    "refused-gif.gif": Expectation("GIF", LARGE_FACE),
    "refused-too-many-pixels.png": Expectation("PNG", LARGE_FACE, is_within_pixel_limits=False),
    "refused-face-too-small.jpg": Expectation("JPEG", SMALL_FACE),
    "refused-no-face.jpg": Expectation("JPEG", None),
}


def encode(picture: Image.Image, image_format: str, **options: object) -> bytes:
    """Encode a picture with nothing but the given options."""
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def encode_rotated(picture: Image.Image) -> bytes:
    """Store a picture turned by 90 degrees, with the EXIF tag that turns it back."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = EXIF_ROTATE_90_CLOCKWISE
    return encode(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88, exif=exif.tobytes())


def encode_on_canvas(picture: Image.Image) -> bytes:
    """Put a picture on a plain canvas with a long side just over the limit."""
    canvas = Image.new("RGB", (1500, MAX_LONG_SIDE_OTHERS + 1), (96, 104, 112))
    canvas.paste(picture, (500, 700))
    return encode(canvas.quantize(64, dither=Image.Dither.NONE), "PNG", optimize=True)


def make_photos() -> dict[str, bytes]:
    """Make every file's bytes."""
    officer_whole = Image.open(MATPLOTLIB_DATA / "grace_hopper.jpg").convert("RGB")
    astronaut_whole = Image.open(SCIKIT_IMAGE_DATA / "astronaut.png").convert("RGB")
    cat = Image.open(SCIKIT_IMAGE_DATA / "chelsea.png").convert("RGB")

    officer = officer_whole.crop((40, 0, 490, 600))
    small_officer = officer.resize((225, 300), Image.Resampling.LANCZOS)
    # The face has 97 pixels in the original: enlarged to pass, reduced to be refused.
    astronaut = astronaut_whole.crop((90, 0, 360, 360)).resize((390, 520), Image.Resampling.LANCZOS)
    far_astronaut = astronaut_whole.resize((320, 320), Image.Resampling.LANCZOS)

    officer_jpeg = encode(officer, "JPEG", quality=88)
    return {
        "officer.jpg": officer_jpeg,
        "officer-rotated-by-exif.jpg": encode_rotated(officer),
        "officer.bmp": encode(small_officer, "BMP"),
        "astronaut.png": encode(astronaut, "PNG", optimize=True),
        "astronaut-progressive.jpg": encode(astronaut, "JPEG", quality=88, progressive=True),
        "refused-gif.gif": encode(small_officer.quantize(64, dither=Image.Dither.NONE), "GIF"),
        "refused-truncated.jpg": officer_jpeg[: len(officer_jpeg) * 6 // 10],
        "refused-too-many-pixels.png": encode_on_canvas(small_officer),
        "refused-face-too-small.jpg": encode(far_astronaut, "JPEG", quality=88),
        "refused-no-face.jpg": encode(cat, "JPEG", quality=88),
        "refused-empty.jpg": b"",
    }


def find_face_sides(picture: Image.Image) -> list[int]:
    """Find the shorter side of every face box, in pixels."""
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")
    grey = np.asarray(picture.convert("L"))
    return [int(min(width, height)) for _, _, width, height in cascade.detectMultiScale(grey)]


def check_photo(name: str, expectation: Expectation) -> None:
    """Raise `ValueError` unless a file is what it has to be."""
    with Image.open(PHOTOS / name) as stored:
        image_format = stored.format or ""
        picture = ImageOps.exif_transpose(stored)
    sides = find_face_sides(picture)
    longest = MAX_LONG_SIDE.get(image_format, MAX_LONG_SIDE_OTHERS)
    fits = max(picture.size) <= longest and min(picture.size) >= MIN_SHORT_SIDE
    print(f"{name:30} {image_format:4} {picture.width:4} x {picture.height:4}  faces: {sides}")
    if image_format != expectation.format or fits != expectation.is_within_pixel_limits:
        raise ValueError(f"{name}: {image_format} of {picture.size} pixels is not what was wanted")
    if expectation.face_sides is None:
        if sides:
            raise ValueError(f"{name}: a face where none should be")
        return
    lowest, highest = expectation.face_sides
    if len(sides) != 1 or not lowest <= sides[0] <= highest:
        raise ValueError(f"{name}: faces of {sides} pixels, wanted one of {lowest} to {highest}")


def check_truncated(name: str) -> None:
    """Raise `ValueError` unless a file's header can be read and its pixels cannot."""
    with Image.open(PHOTOS / name) as stored:
        try:
            stored.load()
        except OSError:
            print(f"{name:30} {stored.format:4} {stored.width:4} x {stored.height:4}  does not decode")
            return
    raise ValueError(f"{name}: decodes although it is truncated")


def main() -> None:
    """Write and check every file."""
    PHOTOS.mkdir(exist_ok=True)
    photos = make_photos()
    for name, content in photos.items():
        (PHOTOS / name).write_bytes(content)
    for name, expectation in EXPECTATIONS.items():
        check_photo(name, expectation)
    check_truncated("refused-truncated.jpg")
    print(f"{len(photos)} files, {sum(map(len, photos.values()))} bytes")


if __name__ == "__main__":
    main()
