"""Looks for faces with OpenCV, where the extra `faces` is installed.

The cascade finds upright frontal faces. It does not judge whether they are live.
"""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from .._errors import ConfigurationError
from ._answers import RefusalError

if TYPE_CHECKING:
    import cv2

MIN_FACE_SIDE = 100
_CASCADE = "haarcascade_frontalface_alt2.xml"
_LONG_SIDE = 960
"""Larger pictures are made this small before: a face of 100 pixels in 4000 still has 24."""
_SCALE_STEP = 1.1
_MIN_NEIGHBORS = 4
_MIN_WINDOW = 20
_REMEMBERED = 4096


def make_face_finder(*, faces: bool | None) -> FaceFinder | None:
    """Make a finder, or return None where none is wanted or, for None, none is installed.

    OpenCV is looked for, and loaded with the first picture.

    Raises:
        ConfigurationError: Faces are wanted and the extra is not installed.
    """
    spec = importlib.util.find_spec("cv2") if faces is not False else None
    if spec is not None and spec.origin is not None:
        return FaceFinder(Path(spec.origin).parent / "data" / _CASCADE)
    if faces:
        raise ConfigurationError(
            "looking for faces needs an extra: pip install 'tencent-liveness-async[sandbox,faces]'"
        )
    return None


class FaceFinder:
    """Finds the largest face of a picture; remembers what it found in the last 4096.

    Its methods may be called by several threads.
    """

    def __init__(self, cascade: Path) -> None:
        self._path = str(cascade)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._found: OrderedDict[str, int] = OrderedDict()

    def check_face(self, image: Image.Image, *, sha256: str) -> None:
        """Refuse a picture without a face, or with none of at least 100 x 100 pixels.

        Args:
            image: The picture as it is stored; its EXIF orientation is applied before looking.
            sha256: The SHA-256 of its file, under which the result is remembered.

        Raises:
            RefusalError: `NoFaceInPhoto` or `FaceSizeTooSmall`; `ImageFacedetectFailed` where OpenCV
                comes without its cascades, as version 5 does.
        """
        side = self._recall(sha256)
        if side is None:
            side = self._measure_largest(image)
            self._remember(sha256, side)
        if side == 0:
            raise RefusalError("InvalidParameterValue.NoFaceInPhoto")
        if side < MIN_FACE_SIDE:
            raise RefusalError("FailedOperation.FaceSizeTooSmall", f"{side} x {side}")

    def _recall(self, sha256: str) -> int | None:
        with self._lock:
            if sha256 not in self._found:
                return None
            self._found.move_to_end(sha256)
            return self._found[sha256]

    def _remember(self, sha256: str, side: int) -> None:
        with self._lock:
            self._found[sha256] = side
            if len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)

    def _measure_largest(self, image: Image.Image) -> int:
        """Return the side of the largest face in the original's pixels, 0 if there is none."""
        import numpy as np

        grey = ImageOps.exif_transpose(image).convert("L")
        scale = min(1.0, _LONG_SIDE / max(grey.size))
        if scale < 1:
            size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
            grey = grey.resize(size, Image.Resampling.BILINEAR)
        boxes = self._load_cascade().detectMultiScale(
            np.asarray(grey),
            scaleFactor=_SCALE_STEP,
            minNeighbors=_MIN_NEIGHBORS,
            minSize=(_MIN_WINDOW, _MIN_WINDOW),
        )
        return max((round(min(width, height) / scale) for _, _, width, height in boxes), default=0)

    def _load_cascade(self) -> cv2.CascadeClassifier:
        """Return this thread's classifier; one must not be used by two threads at once."""
        import cv2

        cascade: cv2.CascadeClassifier | None = getattr(self._local, "cascade", None)
        if cascade is None:
            cascade = self._local.cascade = cv2.CascadeClassifier(self._path)
        if cascade.empty():
            raise RefusalError("FailedOperation.ImageFacedetectFailed", self._path)
        return cascade
