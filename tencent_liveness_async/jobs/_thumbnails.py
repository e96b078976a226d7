"""Small pictures of photos, for a page to carry. They need Pillow, of the extra `report`."""

from __future__ import annotations

from base64 import b64encode
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

THUMBNAIL_PIXELS = 160
"""The longer side."""

_FORMATS = ("JPEG", "PNG", "BMP")
_MAX_PIXELS = 50_000_000


def can_make_thumbnails() -> bool:
    """Say whether Pillow is installed."""
    return find_spec("PIL") is not None


def make_thumbnail(path: Path) -> str | None:
    """Return a photo as a small JPEG in a `data:` URI, upright; None if it cannot be read.

    Of the file's metadata nothing is carried over.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.draft("RGB", (2 * THUMBNAIL_PIXELS, 2 * THUMBNAIL_PIXELS))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    upright.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    buffer = BytesIO()
    upright.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
