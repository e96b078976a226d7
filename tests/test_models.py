from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async import (
    RECOMMENDED_THRESHOLD,
    Failed,
    LivenessScore,
    NoFaceError,
    OutcomeUnknownError,
    Photo,
    Scored,
    Timings,
)

if TYPE_CHECKING:
    import os

PHOTO = Photo(data=b"photo")
SCORE = LivenessScore(99.5, "3.0", "request-id", 70)
TIMINGS = Timings(0.1, 0.2, 0.3)
NO_FACE = NoFaceError(
    "InvalidParameterValue.NoFaceInPhoto", "no face", request_id="request-id", is_billed=True
)
VALUES = (PHOTO, SCORE, TIMINGS, Scored(PHOTO, SCORE, 2, 1, TIMINGS), Failed(PHOTO, NO_FACE, 2, 0, TIMINGS))

every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


class OwnPath:
    """A path of a third party."""

    def __fspath__(self) -> str:
        return "folder/selfie.jpg"


@pytest.mark.parametrize(
    ("source", "photo"),
    [
        ("selfie.jpg", Photo(path=Path("selfie.jpg"))),
        ("http.jpg", Photo(path=Path("http.jpg"))),
        ("https:/selfie.jpg", Photo(path=Path("https:/selfie.jpg"))),
        ("ftp://host/a.jpg", Photo(path=Path("ftp://host/a.jpg"))),
        (Path("folder/selfie.jpg"), Photo(path=Path("folder/selfie.jpg"))),
        (PurePosixPath("folder/selfie.jpg"), Photo(path=Path("folder/selfie.jpg"))),
        (OwnPath(), Photo(path=Path("folder/selfie.jpg"))),
        (b"\xff\xd8\xff", Photo(data=b"\xff\xd8\xff")),
        (b"http://host/a.jpg", Photo(data=b"http://host/a.jpg")),
        (b"", Photo(data=b"")),
        ("http://host/a.jpg", Photo(url="http://host/a.jpg")),
        ("HTTPS://Host/A.jpg?B=c", Photo(url="HTTPS://Host/A.jpg?B=c")),
        ("hTTp://host", Photo(url="hTTp://host")),
    ],
    ids=repr,
)
def test_photo_is_made_of_a_path_bytes_or_a_url(source: str | bytes | os.PathLike[str], photo: Photo) -> None:
    """A text is a URL if it begins with http:// or https:// in any case, else a path; bytes are the photo."""
    assert Photo.of(source) == photo
    assert Photo.of(source).id is None


def test_photo_of_a_photo_is_itself() -> None:
    """A photo stays as it is, its id included."""
    photo = Photo(path=Path("a"), id="mine")
    assert Photo.of(photo) is photo


class BytesPath:
    """A path whose name is bytes, which this package does not take."""

    def __fspath__(self) -> bytes:
        return b"selfie.jpg"


@pytest.mark.parametrize(
    "source", [None, 5, 1.5, True, bytearray(b"x"), memoryview(b"x"), ["a"], object(), BytesPath()], ids=repr
)
def test_photo_of_anything_else_is_a_type_error(source: Any) -> None:
    """What is neither a path, bytes, a URL nor a photo is refused at once, by its type."""
    with pytest.raises(TypeError) as caught:
        Photo.of(source)
    assert type(source).__name__ in str(caught.value) or "bytes" in str(caught.value)


@given(
    path=st.none() | st.just(Path("a")),
    data=st.none() | st.binary(max_size=3),
    url=st.none() | st.just("http://a"),
    name=st.none() | st.text(max_size=3),
)
def test_photo_has_exactly_one_source(
    path: Path | None, data: bytes | None, url: str | None, name: str | None
) -> None:
    """A photo has one of path, bytes and URL, empty bytes included; its id is no source."""
    if [path, data, url].count(None) == 2:
        photo = Photo(path=path, data=data, url=url, id=name)
        assert (photo.path, photo.data, photo.url, photo.id) == (path, data, url, name)
        return
    with pytest.raises(ValueError, match="exactly one"):
        Photo(path=path, data=data, url=url, id=name)


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        (Photo(path=Path("folder/selfie.jpg")), str(Path("folder/selfie.jpg"))),
        (Photo(data=b"photo"), "<5 bytes>"),
        (Photo(data=b""), "<0 bytes>"),
        (Photo(url="https://host/a.jpg?sign=secret"), "https://host/a.jpg"),
        (Photo(url="https://host/a.jpg"), "https://host/a.jpg"),
        (Photo(data=b"photo", id="mine"), "mine"),
        (Photo(url="https://host/a.jpg?sign=secret", id=""), ""),
    ],
)
def test_photo_is_called_by_its_name(photo: Photo, name: str) -> None:
    """A photo's name is its id, its path, its URL without the query, or its size."""
    assert photo.name == name
    assert repr(photo) == str(photo) == f"Photo({name})"


@given(
    query=st.text(st.characters(categories=["L", "N"]), min_size=1).map("secret".__add__),
    path=st.text(st.characters(exclude_characters="?", exclude_categories=["Cs"])),
    id=st.none() | st.just("mine"),
)
def test_query_of_a_url_is_never_shown(query: str, path: str, id: str | None) -> None:  # noqa: A002 - its name
    """Neither repr nor name, nor an outcome's repr, shows a URL's query, which may hold a signature."""
    photo = Photo(url=f"https://host/{path}?{query}?{query}#{query}", id=id)
    outcome = Scored(photo, SCORE, 1, 0, TIMINGS)
    for text in (photo.name, repr(photo), str(photo), repr([photo]), repr(outcome)):
        assert query not in text.replace(path, "")


@given(st.binary(min_size=9))
def test_bytes_of_a_photo_are_never_shown(data: bytes) -> None:
    """Neither repr nor name, nor an outcome's repr, depends on more of a photo's bytes than their number."""
    photo, other = Photo(data=data), Photo(data=bytes(len(data)))
    assert photo.name == other.name
    assert repr(photo) == repr(other)
    assert repr(Failed(photo, NO_FACE, 1, 0, TIMINGS)) == repr(Failed(other, NO_FACE, 1, 0, TIMINGS))


@pytest.mark.parametrize(
    ("score", "threshold", "is_live"),
    [(70, 70, True), (69.999, 70, False), (70.001, 70, True), (0, 0, True), (100, 100, True), (0, 5, False)],
)
def test_score_that_reaches_the_threshold_is_live(score: float, threshold: float, is_live: bool) -> None:
    """A photo is live from the threshold on, whether it is the score's own or is given."""
    assert LivenessScore(score, "3.0", "", threshold).is_live() is is_live
    assert LivenessScore(score, "3.0", "", 100 - threshold).is_live(threshold=threshold) is is_live


def test_threshold_is_40_by_default() -> None:
    """The threshold is the recommended one unless another is given; one of 0 is one that is given."""
    assert RECOMMENDED_THRESHOLD == 40
    assert LivenessScore(40, "3.0", "").is_live()
    assert not LivenessScore(39.9, "3.0", "").is_live()
    assert LivenessScore(0, "3.0", "").is_live(threshold=0)


def test_scored_speaks_for_its_score() -> None:
    """An outcome with a score has its request id and is billed."""
    outcome = Scored(PHOTO, SCORE, 1, 0, TIMINGS)
    assert (outcome.request_id, outcome.is_billed) == ("request-id", True)


@pytest.mark.parametrize(
    ("error", "request_id", "is_billed"),
    [(NO_FACE, "request-id", True), (OutcomeUnknownError("cut off"), "", None)],
)
def test_failed_speaks_for_its_error(
    error: NoFaceError | OutcomeUnknownError, request_id: str, is_billed: bool | None
) -> None:
    """An outcome without a score has its error's request id and is billed as its error is."""
    outcome = Failed(PHOTO, error, 1, 0, TIMINGS)
    assert (outcome.request_id, outcome.is_billed) == (request_id, is_billed)


def test_timings_begin_at_zero() -> None:
    """A photo that waited for nothing took no time."""
    assert Timings() == Timings(queue=0, rate=0, attempt=0)


@every_value
def test_models_are_frozen_and_slotted(value: Any) -> None:
    """A model's fields cannot be set, and it has no others."""
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")


@every_value
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_models_pickle(value: Any, protocol: int) -> None:
    """A model survives pickling with all that it carries."""
    loaded = pickle.loads(pickle.dumps(value, protocol))
    _assert_same(loaded, value)
    _assert_same(copy.deepcopy(value), value)
    _assert_same(copy.copy(value), value)


def _assert_same(left: Any, right: Any) -> None:
    """Compare field by field, because errors are equal only to themselves."""
    assert type(left) is type(right)
    for field in fields(right):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if isinstance(other, Exception):
            assert (type(one), one.args, vars(one)) == (type(other), other.args, vars(other))
        else:
            assert one == other


def test_a_urls_password_is_not_shown() -> None:
    """The name of a URL photo leaves out user and password."""
    assert Photo(url="https://user:hush@photos.test/1.jpg?q=1").name == "https://photos.test/1.jpg"
