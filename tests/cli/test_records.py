from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import TextIO

import pytest

from tencent_liveness_async import (
    Failed,
    LivenessScore,
    NoFaceError,
    OutcomeUnknownError,
    Photo,
    PhotoRejectedError,
    Scored,
    Timings,
)
from tencent_liveness_async._errors import make_api_error
from tencent_liveness_async.cli._records import JsonLines, make_record

PHOTO = Photo(path=Path("a.jpg"))
SCORED = Scored(PHOTO, LivenessScore(40.0, "3.0", "request-1"), 2, 1, Timings(0.1, 0.2, 0.3))
KEYS = [
    "id",
    "source",
    "score",
    "is_live",
    "threshold",
    "model_version",
    "request_id",
    "code",
    "message",
    "rule",
    "error",
    "attempts",
    "is_billed",
    "maybe_billed",
    "queue_seconds",
    "rate_seconds",
    "attempt_seconds",
]


class _Tearing:
    """A file that takes the second line in part."""

    def __init__(self, stream: TextIO) -> None:
        self.encoding = "utf-8"
        self.fileno = stream.fileno
        self.flush = stream.flush
        self._stream = stream
        self._lines = 0

    def write(self, text: str) -> int:
        self._lines += 1
        if self._lines == 1:
            return self._stream.write(text)
        self._stream.write(text[:7])
        self._stream.flush()
        self._stream.write(text[7:])
        raise OSError(errno.ENOSPC, "No space left on device")


def _fail(error: Exception, photo: Photo = PHOTO) -> Failed:
    return Failed(photo, error, 1, 0, Timings())  # type: ignore[arg-type]


def _make_lines(stream: io.TextIOBase) -> JsonLines:
    return JsonLines(stream, name="results.jsonl", threshold=40.0)  # type: ignore[arg-type]


def test_scored_photo_has_every_key() -> None:
    """A score's record has the score and where the time went."""
    record = make_record(SCORED, threshold=40.0)
    assert list(record) == KEYS
    assert record == dict.fromkeys(KEYS) | {
        "source": "a.jpg",
        "score": 40.0,
        "is_live": True,
        "threshold": 40.0,
        "model_version": "3.0",
        "request_id": "request-1",
        "attempts": 2,
        "is_billed": True,
        "maybe_billed": 1,
        "queue_seconds": 0.1,
        "rate_seconds": 0.2,
        "attempt_seconds": 0.3,
    }


def test_refused_photo_has_code_and_message() -> None:
    """An error code's record has the code and the service's own text."""
    error = make_api_error("InvalidParameterValue.NoFaceInPhoto", "no face", request_id="request-2")
    record = make_record(_fail(error), threshold=40.0)
    assert list(record) == KEYS
    assert (record["error"], record["code"], record["message"], record["is_billed"], record["score"]) == (
        NoFaceError.__name__,
        "InvalidParameterValue.NoFaceInPhoto",
        "no face",
        True,
        None,
    )


def test_rejected_photo_has_the_rule() -> None:
    """A photo that broke a limit names the limit, and is not billed."""
    error = PhotoRejectedError("a.jpg is empty", rule="empty", value=0, limit=1)
    record = make_record(_fail(error), threshold=40.0)
    assert (record["rule"], record["message"], record["is_billed"]) == ("empty", "a.jpg is empty", False)


def test_unknown_bill_is_null() -> None:
    """An attempt without an answer is neither billed nor not."""
    assert make_record(_fail(OutcomeUnknownError("no answer")), threshold=40.0)["is_billed"] is None


def test_query_of_a_url_is_not_written() -> None:
    """A URL's query may be a signature; the record has the address and the place on the command line."""
    photo = Photo(url="https://photos.test/p?sign=secret", id="https://photos.test/p?... (source 1)")
    record = make_record(_fail(OutcomeUnknownError("no answer"), photo), threshold=40.0)
    assert (record["id"], record["source"]) == (photo.id, "https://photos.test/p")
    assert "secret" not in json.dumps(record)


def test_user_info_of_a_url_is_not_written() -> None:
    """User and password of a URL stay out of the record."""
    photo = Photo(url="https://me:hush@photos.test/p")
    record = make_record(_fail(OutcomeUnknownError("no answer"), photo), threshold=40.0)
    assert record["source"] == "https://photos.test/p"
    assert "hush" not in json.dumps(record)


def test_line_is_written_at_once() -> None:
    """A line does not wait in a buffer."""
    raw = io.BytesIO()
    lines = _make_lines(io.TextIOWrapper(raw, encoding="utf-8"))
    lines.write(SCORED)
    assert json.loads(raw.getvalue())["score"] == 40.0
    lines.finish()
    assert lines.written == 1


@pytest.mark.parametrize(
    ("name", "encoding", "shown"),
    [
        ("照片.jpg", "utf-8", "照片.jpg"),
        ("照片.jpg", "ascii", r"\u7167\u7247.jpg"),
        ("\udcff照.jpg", "utf-8", r"\\udcff照.jpg"),
        ("\udcff.jpg", "ascii", r"\\udcff.jpg"),
    ],
)
def test_names_survive_every_encoding(name: str, encoding: str, shown: str) -> None:
    """A name is readable where it can be, and a strict reader takes every line."""
    raw = io.BytesIO()
    outcome = _fail(OutcomeUnknownError("no answer"), Photo(path=Path(name)))
    stream = io.TextIOWrapper(raw, encoding=encoding)
    _make_lines(stream).write(outcome)
    assert f'"{shown}"'.encode(encoding) in raw.getvalue()
    source = json.loads(raw.getvalue())["source"]
    assert source == name.encode("utf-8", "backslashreplace").decode()
    assert source.encode("utf-8")
