from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tencent_liveness_async
from tencent_liveness_async import (
    AccountError,
    AuthenticationError,
    BillingError,
    DeadlineTooShortError,
    Failed,
    LivenessAPIError,
    LivenessError,
    LivenessScore,
    MalformedResponseError,
    NoFaceError,
    OutcomeUnknownError,
    Photo,
    PhotoRefusedError,
    PhotoRejectedError,
    RequestRefusedError,
    RunStoppedError,
    Scored,
    ServiceUnreachableError,
    ThrottledError,
    Timings,
    TransientAPIError,
    _errors,
    find_code_rule,
)
from tencent_liveness_async._errors import find_error_class, make_api_error

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES = json.loads((Path(__file__).parent / "data" / "error_codes.json").read_text())["codes"]
CLASSES_OF_HANDLING: dict[str, tuple[type[LivenessAPIError], ...]] = {
    "throttle": (ThrottledError,),
    "transient": (TransientAPIError,),
    "item": (PhotoRefusedError, NoFaceError),
    "batch": (AuthenticationError, BillingError, RequestRefusedError),
}
PHOTO = Photo(data=b"photo", id="1")


def _walk(cls: type[LivenessError]) -> Iterator[type[LivenessError]]:
    """Give every error class of the package; tests may have classes of their own."""
    yield cls
    for child in cls.__subclasses__():
        if child.__module__.startswith("tencent_liveness_async") and ".jobs" not in child.__module__:
            yield from _walk(child)


CLASSES = list(_walk(LivenessError))
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


FAULT = AuthenticationError("AuthFailure", "no", request_id="request-id", is_billed=False)
SCORED = Scored(PHOTO, LivenessScore(99.5, "3.0", "request-id"), 1, 0, Timings(1, 2, 3))
ARGUMENTS: dict[type[LivenessError], tuple[tuple[object, ...], dict[str, object]]] = {
    LivenessAPIError: (("Some.Code", "文本"), {"request_id": "request-id", "is_billed": True}),
    MalformedResponseError: (
        ("it is HTML",),
        {"status": 502, "request_id": "request-id", "excerpt": b"<html>"},
    ),
    PhotoRejectedError: (("too large",), {"rule": "long_side", "value": 4001, "limit": 4000}),
    ServiceUnreachableError: (("refused",), {"failed": 15, "calls": 20, "retry_after": 4.0}),
    DeadlineTooShortError: ((2.0,), {"estimated_wait": 3.5}),
    RunStoppedError: ((FAULT,), {"finished": (SCORED,), "unfinished": (PHOTO,)}),
}


def _make(cls: type[LivenessError]) -> LivenessError:
    """Make an error of any class, with values unlike the defaults."""
    for base, (args, settings) in ARGUMENTS.items():
        if issubclass(cls, base):
            return cls(*args, **settings)
    return cls("what happened")


@pytest.mark.parametrize(
    ("cls", "details"),
    [
        (LivenessAPIError, {"code": "Some.Code", "message": "文本", "request_id": "request-id"}),
        (LivenessAPIError, {"is_billed": True}),
        (MalformedResponseError, {"status": 502, "request_id": "request-id", "excerpt": b"<html>"}),
        (MalformedResponseError, {"is_billed": None}),
        (PhotoRejectedError, {"rule": "long_side", "value": 4001, "limit": 4000, "args": ("too large",)}),
        (RunStoppedError, {"unfinished": (PHOTO,)}),
        (ServiceUnreachableError, {"failed": 15, "calls": 20, "retry_after": 4.0, "is_billed": False}),
    ],
)
def test_error_carries_its_details(cls: type[LivenessError], details: dict[str, object]) -> None:
    """An error's attributes are those it was made with."""
    error = _make(cls)
    assert {name: getattr(error, name) for name in details} == details


def _assert_equal(left: Any, right: Any) -> None:
    """Compare two errors by all that they carry, errors inside them too."""
    assert type(left) is type(right)
    assert left.args == right.args
    assert str(left) == str(right)
    assert vars(left).keys() == vars(right).keys()
    for name, value in vars(right).items():
        if isinstance(value, LivenessError):
            _assert_equal(getattr(left, name), value)
        else:
            assert getattr(left, name) == value


@every_class
def test_error_survives_pickling_and_copying(cls: type[LivenessError]) -> None:
    """An error comes back from pickling and copying with its text and all its attributes."""
    error = _make(cls)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        _assert_equal(pickle.loads(pickle.dumps(error, protocol)), error)
    _assert_equal(copy.copy(error), error)
    _assert_equal(copy.deepcopy(error), error)


@every_class
def test_error_keeps_what_was_added_to_it(cls: type[LivenessError]) -> None:
    """What is set on an error after it was made, and notes, survive pickling and copying."""
    error = _make(cls)
    error.is_billed, error.request_id = None, "other-id"
    error.add_note("seen in the test")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (other.is_billed, other.request_id) == (None, "other-id")
        assert other.__notes__ == ["seen in the test"]


def test_copy_of_an_error_is_its_own() -> None:
    """Changing a copy does not change the error."""
    error = _make(LivenessAPIError)
    copy.copy(error).request_id = "other-id"
    assert error.request_id == "request-id"


def test_failed_outcome_survives_pickling() -> None:
    """An outcome with an error can be sent to another process."""
    outcome = Failed(PHOTO, _make(NoFaceError), 1, 0, Timings())
    _assert_equal(pickle.loads(pickle.dumps(outcome)).error, outcome.error)


@every_class
def test_class_says_what_happened(cls: type[LivenessError]) -> None:
    """Every error class has a docstring of its own, and the root package exports it."""
    assert cls.__dict__["__doc__"]
    assert getattr(tencent_liveness_async, cls.__name__) is cls
    assert cls.__name__ in tencent_liveness_async.__all__


def _read_drawing(text: str) -> Iterator[tuple[str, str, str]]:
    """Give each class in a drawn tree with its parent and its explanation."""
    parents: dict[int, str] = {}
    for line in text.splitlines():
        found = re.fullmatch(r"    ((?:[│├└─ ]{4})*)(\w+Error)\b *(.*)", line)
        if found:
            depth = len(found[1]) // 4
            parents[depth] = found[2]
            yield found[2], parents.get(depth - 1, ""), found[3]


def test_drawing_is_the_tree() -> None:
    """The module's docstring draws every error class once, below its parent, with what it means."""
    assert _errors.__doc__ is not None
    drawn = list(_read_drawing(_errors.__doc__))
    expected = {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES} | {"LivenessError": ""}
    assert {name: parent for name, parent, _ in drawn} == expected
    assert len(drawn) == len(expected)
    assert [name for name, _, text in drawn if not text] == ["LivenessError"]


@pytest.mark.parametrize("code", CODES)
def test_code_becomes_an_error_of_its_class(code: str) -> None:
    """Every code becomes an error of a class that fits its handling and carries all that was answered."""
    error = make_api_error(code, "text", request_id="request-id")
    assert type(error) in CLASSES_OF_HANDLING[CODES[code]["handling"]]
    assert type(error) is find_error_class(code)
    assert (error.code, error.message, error.request_id) == (code, "text", "request-id")
    assert error.rule == find_code_rule(code)
    assert error.handling.value == CODES[code]["handling"]
    for part in (code, "text", "request-id"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("RequestLimitExceeded.Unheard", ThrottledError),
        ("InternalError.Unheard", TransientAPIError),
        ("ServiceUnavailable.Unheard", TransientAPIError),
        ("AuthFailure.Unheard", AuthenticationError),
        ("UnauthorizedOperation.Unheard", AuthenticationError),
        ("ResourceUnavailable.Unheard", BillingError),
        ("ResourcesSoldOut.Unheard", BillingError),
        ("UnsupportedOperation.Unheard", RequestRefusedError),
        ("FailedOperation.Unheard", PhotoRefusedError),
        ("InvalidParameterValue.Unheard", PhotoRefusedError),
        ("Unheard", PhotoRefusedError),
        ("InvalidParameterValue.NoFaceInPhoto", NoFaceError),
        ("InvalidParameterValue.NoFaceInPhotos", PhotoRefusedError),
        ("InvalidParameterValue.NoFaceInGroups", PhotoRefusedError),
        ("AuthFailure.SignatureExpire", AuthenticationError),
        ("ResourceUnavailable.InArrears", BillingError),
        ("UnsupportedRegion", RequestRefusedError),
    ],
)
def test_code_becomes_the_class_of_its_kind(code: str, cls: type[LivenessAPIError]) -> None:
    """A code, known or not, becomes an error of exactly the class of its kind."""
    assert type(make_api_error(code, "text")) is cls


@pytest.mark.parametrize("code", CODES)
def test_only_a_photo_without_a_face_is_billed(code: str) -> None:
    """An error code is not billed, except NoFaceInPhoto."""
    assert make_api_error(code, "text").is_billed is (code == "InvalidParameterValue.NoFaceInPhoto")


def test_billed_codes_are_a_setting() -> None:
    """Which codes are billed can be chosen, down to none."""
    no_face = "InvalidParameterValue.NoFaceInPhoto"
    assert make_api_error(no_face, "text", billed_codes=()).is_billed is False
    assert make_api_error("InternalError", "text", billed_codes={"InternalError"}).is_billed is True
    assert make_api_error(no_face, "text", billed_codes={"InternalError"}).is_billed is False


@every_class
def test_only_a_sent_request_may_be_billed(cls: type[LivenessError]) -> None:
    """An error without an answer of the service is not billed, and unknown only if the request was sent."""
    expected = None if issubclass(cls, OutcomeUnknownError) else False
    assert cls.is_billed is expected
    assert cls.request_id == ""


def test_missing_request_id_is_said() -> None:
    """An error that came without a request id says so."""
    assert "request id missing" in str(make_api_error("InternalError", "text"))


def test_malformed_answer_is_shown_in_part() -> None:
    """The message of a malformed answer shows its status, why, and how it begins, but not all of it."""
    error = MalformedResponseError("it is not JSON", status=502, excerpt=b"<html>" + b"x" * 194)
    assert "HTTP 502" in str(error)
    assert "it is not JSON" in str(error)
    assert "<html>xxx" in str(error)
    assert len(error.excerpt) == 200
    assert len(str(error)) < 200


def test_held_back_call_says_why_and_until_when() -> None:
    """The error of a call that was held back tells how many failed, why, and when to ask again."""
    text = str(_make(ServiceUnreachableError))
    for part in ("not sent", "15 of the last 20", "refused", "in 4.0 s"):
        assert part in text


def test_stopped_run_counts_what_is_left() -> None:
    """The error of a stopped run speaks its fault, how much is finished, and how much is not."""
    error = _make(RunStoppedError)
    assert isinstance(error, RunStoppedError)
    assert isinstance(error.error, AccountError)
    assert str(error.error) in str(error)
    assert [outcome.photo for outcome in error.finished] == [PHOTO]
    assert "1 outcomes" in str(error)
    assert "1 photos" in str(error)
