from __future__ import annotations

import errno
import io
import json
import threading
from pathlib import Path

import pytest

from tencent_liveness_async import (
    AttemptStarted,
    AuthenticationError,
    Failed,
    LivenessScore,
    NoFaceError,
    OutcomeReached,
    OutcomeUnknownError,
    Photo,
    PhotoRejectedError,
    Scored,
    Timings,
)
from tencent_liveness_async._errors import make_api_error
from tencent_liveness_async.cli._context import CommandError, ExitCode
from tencent_liveness_async.cli._records import Results, make_record
from tencent_liveness_async.cli._tally import Tally

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


class _Full(io.StringIO):
    """A disk without space."""

    name = "full.jsonl"

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class _Slow(io.StringIO):
    """A stream that waits in its first write."""

    def __init__(self) -> None:
        super().__init__()
        self.is_writing = threading.Event()
        self.may_write = threading.Event()
        self.order: list[str] = []

    def write(self, text: str) -> int:
        self.is_writing.set()
        assert self.may_write.wait(10)
        self.order.append("written")
        return super().write(text)


def _fail(error: Exception, photo: Photo = PHOTO) -> Failed:
    return Failed(photo, error, 1, 0, Timings())  # type: ignore[arg-type]


def _make_results(stream: io.TextIOBase | None) -> Results:
    return Results(Tally(), stream=stream, threshold=40.0)  # type: ignore[arg-type]


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


def test_outcome_is_written_once() -> None:
    """An outcome that was handed out is not written again at the end; one that was not is."""
    stream = io.StringIO()
    results = _make_results(stream)
    handed_out, left = SCORED, _fail(OutcomeUnknownError("no answer"))
    results.note(AttemptStarted(PHOTO, 1))
    results.note(OutcomeReached(handed_out, is_abandoned=False))
    results.note(OutcomeReached(left, is_abandoned=True))
    results.take(handed_out)
    results.take(handed_out)
    results.take_rest()
    results.take_rest()
    assert [json.loads(line)["error"] for line in stream.getvalue().splitlines()] == [
        None,
        "OutcomeUnknownError",
    ]
    assert results.tally.done == 2


def test_account_fault_is_no_outcome() -> None:
    """A photo whose call met a fault of the account may be scored again and has no record."""
    stream = io.StringIO()
    results = _make_results(stream)
    error = make_api_error("AuthFailure.SignatureFailure", "wrong")
    assert isinstance(error, AuthenticationError)
    results.note(OutcomeReached(_fail(error), is_abandoned=False))
    results.take_rest()
    assert (stream.getvalue(), results.tally.done) == ("", 0)


def test_end_waits_for_what_is_being_written() -> None:
    """A thread that an interrupted run left writing has ended before the stream can be closed."""
    stream = _Slow()
    results = _make_results(stream)
    results.note(OutcomeReached(SCORED, is_abandoned=False))
    writer = threading.Thread(target=results.take, args=(SCORED,))
    writer.start()
    assert stream.is_writing.wait(10)

    def end() -> None:
        results.take_rest()
        stream.order.append("ended")

    rest = threading.Thread(target=end)
    rest.start()
    stream.may_write.set()
    rest.join(10)
    writer.join(10)
    assert stream.order == ["written", "ended"]


def test_broken_stream_is_told_once() -> None:
    """A full disk ends the run; what is left is counted and not written."""
    results = _make_results(_Full())
    other = _fail(OutcomeUnknownError("no answer"))
    results.note(OutcomeReached(SCORED, is_abandoned=False))
    results.note(OutcomeReached(other, is_abandoned=True))
    with pytest.raises(CommandError, match=r"full\.jsonl cannot be written: No space left") as caught:
        results.take(SCORED)
    results.take_rest()
    assert caught.value.code is ExitCode.OTHER
    assert (results.unwritten, results.tally.done) == (2, 2)


def test_without_a_stream_outcomes_are_counted() -> None:
    """A run that writes no lines counts all the same."""
    results = _make_results(None)
    results.note(OutcomeReached(SCORED, is_abandoned=False))
    results.take(SCORED)
    assert (results.tally.scored, results.unwritten) == (1, 0)


@pytest.mark.parametrize(
    ("name", "encoding", "shown"),
    [
        ("照片.jpg", "utf-8", "照片.jpg"),
        ("照片.jpg", "ascii", r"\u7167\u7247.jpg"),
        ("\udcff.jpg", "utf-8", r"\udcff.jpg"),
    ],
)
def test_names_survive_every_encoding(name: str, encoding: str, shown: str) -> None:
    """A name is readable where it can be, and always comes back as it was."""
    raw = io.BytesIO()
    results = _make_results(io.TextIOWrapper(raw, encoding=encoding))
    outcome = _fail(OutcomeUnknownError("no answer"), Photo(path=Path(name)))
    results.note(OutcomeReached(outcome, is_abandoned=False))
    results.take_rest()
    assert f'"{shown}"'.encode(encoding) in raw.getvalue()
    assert json.loads(raw.getvalue())["source"] == name
