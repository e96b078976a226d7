"""Photos of a wanted size: an example's JPEG with bytes behind its end, which no decoder looks at."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = {"300 KB": 300_000, "2 MB": 2_000_000, "3.7 MB": 3_700_000}
_EXAMPLE = Path(__file__).parent.parent / "examples" / "photos" / "officer.jpg"
_FILES = 8


@contextmanager
def make_photos(size: int) -> Iterator[list[str]]:
    """Make some files of `size` bytes, all different, for as long as the context lasts."""
    photo = _EXAMPLE.read_bytes()
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(_FILES)]
        for path in paths:
            path.write_bytes(photo + os.urandom(size - len(photo)))
        yield [str(path) for path in paths]
