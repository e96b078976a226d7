from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("PIL")

from PIL import Image

from tencent_liveness_async import _errors as errors
from tencent_liveness_async.sandbox import SandboxApp, SandboxSettings
from tencent_liveness_async.sandbox import _faces as faces
from tencent_liveness_async.sandbox._answers import RefusalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
NO_FACE = "InvalidParameterValue.NoFaceInPhoto"
TOO_SMALL = "FailedOperation.FaceSizeTooSmall"


@pytest.fixture(scope="module")
def finder() -> faces.FaceFinder:
    """A finder, where the extra is installed."""
    pytest.importorskip("cv2")
    found = faces.make_face_finder(faces=True)
    assert found is not None
    return found


def _find_code(finder: faces.FaceFinder, image: Image.Image, key: str) -> str | None:
    try:
        finder.check_face(image, sha256=key)
    except RefusalError as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("astronaut.png", None),
        ("astronaut-progressive.jpg", None),
        ("officer.jpg", None),
        ("officer.bmp", None),
        ("officer-rotated-by-exif.jpg", None),
        ("refused-no-face.jpg", NO_FACE),
        ("refused-face-too-small.jpg", TOO_SMALL),
    ],
)
def test_real_photos_are_judged_right(finder: faces.FaceFinder, name: str, code: str | None) -> None:
    """Portraits in every format and orientation pass, a cat and a small face do not."""
    with Image.open(PHOTOS / name) as image:
        assert _find_code(finder, image, name) == code


def test_face_without_its_orientation_is_not_found(finder: faces.FaceFinder) -> None:
    """The EXIF orientation is what makes the rotated portrait pass."""
    with Image.open(PHOTOS / "officer-rotated-by-exif.jpg") as image:
        stripped = Image.frombytes(image.mode, image.size, image.tobytes())
    assert _find_code(finder, stripped, "stripped") == NO_FACE


@pytest.mark.parametrize(("width", "code"), [(150, None), (75, TOO_SMALL)])
def test_small_face_in_a_large_picture_is_measured(
    finder: faces.FaceFinder, width: int, code: str | None
) -> None:
    """A face is measured in the original's pixels, though a smaller picture is looked at."""
    with Image.open(PHOTOS / "officer.jpg") as portrait:
        small = portrait.resize((round(width * 450 / 237), round(width * 600 / 237)))
    canvas = Image.new("RGB", (1600, 1200), "grey")
    canvas.paste(small, (400, 300))
    found = finder._measure_largest(canvas)
    assert found == pytest.approx(width, rel=0.15)
    assert _find_code(finder, canvas, f"canvas {width}") == code


def test_result_is_remembered_by_content(finder: faces.FaceFinder) -> None:
    """The same content is looked at once."""
    blank = Image.new("L", (64, 64))
    with Image.open(PHOTOS / "officer.bmp") as portrait:
        assert _find_code(finder, portrait, "same") is None
    assert _find_code(finder, blank, "same") is None
    assert _find_code(finder, blank, "other") == NO_FACE


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for longest ago is forgotten first."""
    finder = faces.FaceFinder(Path())
    for number in range(faces._REMEMBERED):
        finder._remember(str(number), 200)
    assert finder._recall("0") == 200
    finder._remember("new", 200)
    assert finder._recall("0") == 200
    assert finder._recall("1") is None
    assert len(finder._found) == faces._REMEMBERED


@pytest.mark.parametrize("wanted", [None, False])
def test_finder_is_optional(monkeypatch: pytest.MonkeyPatch, wanted: bool | None) -> None:
    """Without the extra every photo is taken for one with a face."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert faces.make_face_finder(faces=wanted) is None


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever insists on faces is told what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(errors.ConfigurationError, match="pip install"):
        SandboxApp(SandboxSettings(faces=True))


def test_missing_cascade_is_a_failed_detection() -> None:
    """An OpenCV without cascades cannot look, and says so."""
    pytest.importorskip("cv2")
    finder = faces.FaceFinder(Path("nowhere.xml"))
    assert _find_code(finder, Image.new("L", (64, 64)), "any") == "FailedOperation.ImageFacedetectFailed"


async def test_photo_without_a_face_is_billed(
    finder: faces.FaceFinder,
    ask: Callable[..., Awaitable[dict[str, Any]]],
    make_payload: Callable[[bytes], dict[str, str]],
) -> None:
    """The one error that costs money is counted as billed."""
    app = SandboxApp(SandboxSettings(faces=True))
    picture = BytesIO()
    Image.linear_gradient("L").save(picture, "PNG")
    answer = await ask(app, make_payload(picture.getvalue()))
    assert answer["Error"]["Code"] == NO_FACE
    assert app.statistics().billed == 1
