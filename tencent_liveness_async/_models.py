"""What goes in and what comes out: photos, scores, outcomes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._errors import LivenessError

RECOMMENDED_THRESHOLD = 40.0
"""The threshold the API page recommends; it names 5, 10, 40, 70 and 90, from lenient to strict."""

_USER_INFO = re.compile(r"(?<=://)[^/]*@")
_LONGEST_NAME = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """What to score: exactly one of a path, the encoded bytes, or a URL the service can fetch.

    Example:
        >>> Photo(url="https://example.com/selfie.jpg").name
        'https://example.com/selfie.jpg'

    Attributes:
        path: A PNG, JPEG or BMP file; text becomes a `Path`. It is read when its turn comes and sent
            unchanged.
        data: The encoded bytes of one. Never shown.
        url: An http or https address that the service downloads the photo from.
        id: The caller's own name for the photo, carried to its outcome.
    """

    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    id: str | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.path, self.data, self.url)) != 1:
            raise ValueError("a photo has exactly one of path, data and url")
        if self.path is not None:
            object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def of(cls, source: PhotoSource, *, id: str | None = None) -> Photo:  # noqa: A002 - the field's name
        """Make a photo of a path, of encoded bytes or of an http(s) URL; a `Photo` stays as it is.

        Raises:
            TypeError: `source` is none of these.
        """
        match source:
            case Photo():
                return source
            case bytes():
                return cls(data=source, id=id)
            case str() if source.lower().startswith(("http://", "https://")):
                return cls(url=source, id=id)
            case str() | os.PathLike():
                return cls(path=Path(source), id=id)
            case _:
                raise TypeError(
                    f"a photo is a path, bytes, an http(s) URL or a Photo, not {type(source).__name__}"
                )

    @property
    def name(self) -> str:
        """How messages call the photo: its id, its path, its URL without password and query, or its size."""
        if self.id is not None:
            return self.id
        if self.path is not None:
            return _shorten(str(self.path))
        if self.url is not None:
            return _shorten(_USER_INFO.sub("", self.url.partition("?")[0]))
        return f"<{len(self.data or b'')} bytes>"

    def __repr__(self) -> str:
        return f"Photo({self.name})"


def _shorten(name: str) -> str:
    """Cut what is too long for a message; a whole photo in Base64 is sometimes passed as a path."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:40]}... ({len(name):,} characters)"


PhotoSource: TypeAlias = str | os.PathLike[str] | bytes | Photo


@dataclass(frozen=True, slots=True)
class LivenessScore:
    """The service's judgement of one photo.

    Attributes:
        score: From 0 to 100; higher is more likely a live face.
        model_version: The face model that judged, for example `3.0`.
        request_id: The service's id of the call.
        threshold: The score from which `is_live()` says yes.
    """

    score: float
    model_version: str
    request_id: str
    threshold: float = RECOMMENDED_THRESHOLD

    def is_live(self, *, threshold: float | None = None) -> bool:
        """Say whether the score reaches `threshold`, or this score's own threshold if none is given."""
        return self.score >= (self.threshold if threshold is None else threshold)


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a photo's time went, in seconds, summed over its attempts.

    Attributes:
        queue: Waiting for a free slot and for its file to be read.
        rate: Waiting for the pace: permits, throttles and back-off between attempts.
        attempt: Sending and waiting for answers.
    """

    queue: float = 0.0
    rate: float = 0.0
    attempt: float = 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A photo that got a score.

    Attributes:
        photo: The photo.
        result: Its score.
        attempts: Calls sent for it, the one that succeeded included.
        maybe_billed: How many of the calls before may have been billed without an answer.
        timings: Where its time went.
        is_shared: True if the calls of an equal photo, in flight at the same time, brought the score; then it
            has no attempts of its own and is not billed.
    """

    photo: Photo
    result: LivenessScore
    attempts: int
    maybe_billed: int
    timings: Timings
    is_shared: bool = False

    @property
    def request_id(self) -> str:
        """The service's id of the call that brought the score."""
        return self.result.request_id

    @property
    def is_billed(self) -> bool:
        """A score is always billed, once."""
        return not self.is_shared


@dataclass(frozen=True, slots=True)
class Failed:
    """A photo that got no score.

    Attributes:
        photo: The photo.
        error: Why.
        attempts: Calls sent for it.
        maybe_billed: How many of them may have been billed without an answer, the last one included.
        timings: Where its time went.
        is_shared: True if the error is that of an equal photo, in flight at the same time.
    """

    photo: Photo
    error: LivenessError
    attempts: int
    maybe_billed: int
    timings: Timings
    is_shared: bool = False

    @property
    def request_id(self) -> str:
        """The service's id of the last call, empty if there was no answer."""
        return self.error.request_id

    @property
    def is_billed(self) -> bool | None:
        """Whether the last call is billed; None means it is not known."""
        return False if self.is_shared else self.error.is_billed


Outcome: TypeAlias = Scored | Failed
