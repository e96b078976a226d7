from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._error_codes import CODE_RULES
from tencent_liveness_async._errors import LivenessAPIError, MalformedResponseError, find_error_class
from tencent_liveness_async._models import LivenessScore
from tencent_liveness_async._protocol.response import MAX_RESPONSE_BYTES, parse_response

REQUEST_ID = "048a5eb3-f7a9-4c1f-a982-00e90b6b892c"
SUCCESS = (
    b'{"Response":{"Score":99.5,"FaceModelVersion":"3.0","RequestId":"048a5eb3-f7a9-4c1f-a982-00e90b6b892c"}}'
)
FAILURE = (
    b'{"Response":{"Error":{"Code":"FailedOperation.ServerError","Message":"Please retry."},'
    b'"RequestId":"048a5eb3-f7a9-4c1f-a982-00e90b6b892c"}}'
)
KEYS = ("Response", "Score", "FaceModelVersion", "RequestId", "Error", "Code", "Message")
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)

scalars = st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.sampled_from(KEYS)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)


def _parse(content: bytes) -> LivenessScore | LivenessAPIError | MalformedResponseError:
    """Return what comes out, a score or an error; any other error fails the test."""
    try:
        return parse_response(content, status=200)
    except (LivenessAPIError, MalformedResponseError) as error:
        return error


def _refuse(content: bytes, *, status: int = 200) -> MalformedResponseError:
    """Return the error of an answer that has to be malformed."""
    with pytest.raises(MalformedResponseError) as caught:
        parse_response(content, status=status)
    return caught.value


def _answer(**fields: Any) -> bytes:
    return json.dumps({"Response": fields}).encode()


def _assert_sound(result: object) -> None:
    if isinstance(result, LivenessScore):
        assert type(result.score) is float
        assert 0 <= result.score <= 100
    else:
        assert isinstance(result, LivenessAPIError | MalformedResponseError)


@pytest.mark.parametrize("score", [0, 99, 100, 0.0, 12.345678, 100.0, 1e-9])
def test_score_may_be_any_number_from_0_to_100(score: float) -> None:
    """A score is a JSON integer or fraction, both ends included, and comes out as a float."""
    result = parse_response(
        _answer(Score=score, FaceModelVersion="3.0", RequestId=REQUEST_ID), status=200, threshold=70
    )
    assert result == LivenessScore(float(score), "3.0", REQUEST_ID, 70)
    assert type(result.score) is float


@pytest.mark.parametrize("status", [200, 404, 502])
def test_status_does_not_decide(status: int) -> None:
    """A score is a score and an error an error, whatever the HTTP status."""
    assert parse_response(SUCCESS, status=status).score == 99.5
    with pytest.raises(LivenessAPIError):
        parse_response(FAILURE, status=status)


def test_threshold_is_the_recommended_one_by_default() -> None:
    """A score's own threshold is 40 unless another is given."""
    assert parse_response(SUCCESS, status=200).threshold == 40


@pytest.mark.parametrize("key", ["FaceModelVersion", "RequestId"])
@pytest.mark.parametrize("value", ["absent", None])
def test_score_counts_without_its_companions(key: str, value: object) -> None:
    """A paid score is not thrown away because its model version or request id is missing or null."""
    fields = {"Score": 99.5, "FaceModelVersion": "3.0", "RequestId": REQUEST_ID, key: None}
    if value == "absent":
        del fields[key]
    result = parse_response(_answer(**fields), status=200)
    assert result.score == 99.5
    assert "" in {result.model_version, result.request_id}


@given(st.dictionaries(st.text(max_size=10).filter(lambda key: key not in KEYS), json_values, max_size=4))
def test_unknown_fields_are_ignored(extra: dict[str, Any]) -> None:
    """Fields that the API page does not know change nothing, whatever they hold and wherever they are."""
    fields = {"Score": 99.5, "FaceModelVersion": "3.0", "RequestId": REQUEST_ID}
    document = extra | {"Response": extra | fields}
    for content in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        assert parse_response(content.encode(), status=200) == LivenessScore(99.5, "3.0", REQUEST_ID)


@pytest.mark.parametrize("key", KEYS)
def test_value_that_equals_a_key_is_a_value(key: str) -> None:
    """A text that equals or contains a key of the answer is not mistaken for the key."""
    assert parse_response(_answer(Score=1, Extra=key, RequestId=REQUEST_ID), status=200).score == 1
    message = f'the field "{key}": {{"{key}": 1}} is {key}'
    error = {"Code": "InternalError", "Message": message}
    with pytest.raises(LivenessAPIError) as caught:
        parse_response(_answer(Error=error, Extra=key, RequestId=REQUEST_ID), status=200)
    assert caught.value.message == message


def test_key_may_occur_in_two_objects() -> None:
    """The same key in two different objects is not a key twice."""
    content = _answer(Score=1, Extra={"Score": 2, "Error": {}, "RequestId": 3}, RequestId=REQUEST_ID)
    assert parse_response(content, status=200).score == 1


@pytest.mark.parametrize("code", [*CODE_RULES, "InternalError.Unheard", "Unheard"])
def test_error_code_becomes_its_class(code: str) -> None:
    """Each code becomes the error of its class, with the code, the text, the request id and the billing."""
    content = _answer(Error={"Code": code, "Message": "文本 text"}, RequestId=REQUEST_ID)
    with pytest.raises(LivenessAPIError) as caught:
        parse_response(content, status=200)
    error = caught.value
    assert type(error) is find_error_class(code)
    assert (error.code, error.message, error.request_id) == (code, "文本 text", REQUEST_ID)
    assert error.is_billed is (code == "InvalidParameterValue.NoFaceInPhoto")


def test_billed_codes_can_be_chosen() -> None:
    """Which error codes are billed is the caller's choice."""
    with pytest.raises(LivenessAPIError) as caught:
        parse_response(FAILURE, status=200, billed_codes={"FailedOperation.ServerError"})
    assert caught.value.is_billed is True
    no_face = _answer(Error={"Code": "InvalidParameterValue.NoFaceInPhoto", "Message": ""})
    with pytest.raises(LivenessAPIError) as caught:
        parse_response(no_face, status=200, billed_codes=())
    assert caught.value.is_billed is False


def test_error_wins_over_a_score() -> None:
    """An answer with an error and a score is an error."""
    with pytest.raises(LivenessAPIError):
        parse_response(_answer(Score=99, Error={"Code": "InternalError", "Message": ""}), status=200)


@pytest.mark.parametrize("message", ["absent", None, 5, ["text"]])
def test_error_counts_without_a_message(message: object) -> None:
    """An error's code counts also without a text."""
    error = {"Code": "InternalError"} | ({} if message == "absent" else {"Message": message})
    with pytest.raises(LivenessAPIError) as caught:
        parse_response(_answer(Error=error, RequestId=REQUEST_ID), status=200)
    assert (caught.value.code, caught.value.message) == ("InternalError", "")


MALFORMED = {
    "empty": (b"", "empty"),
    "space": (b" \r\n", "not JSON"),
    "HTML": (b"<html><body><h1>502 Bad Gateway</h1></body></html>", "not JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + SUCCESS, "not JSON"),
    "UTF-16": (SUCCESS.decode().encode("utf-16"), "not JSON"),
    "invalid UTF-8": (SUCCESS.replace(b"3.0", b"\xff"), "not JSON"),
    "lone surrogate": (SUCCESS.replace(b"3.0", rb"\ud800"), "not JSON"),
    "two documents": (SUCCESS + SUCCESS, "not JSON"),
    "empty object": (b"{}", "no Response"),
    "array": (b"[" + SUCCESS + b"]", "no Response"),
    "text": (b'"Response"', "no Response"),
    "number": (b"99", "no Response"),
    "null": (b"null", "no Response"),
    "Response is null": (b'{"Response":null}', "no Response"),
    "Response is an array": (b'{"Response":[]}', "no Response"),
    "Response is a text": (b'{"Response":"Score"}', "no Response"),
    "no Score": (b'{"Response":{}}', "no numeric Score"),
    "key in lower case": (_answer(score=99), "no numeric Score"),
    "Score is null": (_answer(Score=None), "no numeric Score"),
    "Score is a text": (_answer(Score="99"), "no numeric Score"),
    "Score is true": (_answer(Score=True), "no numeric Score"),
    "Score is false": (_answer(Score=False), "no numeric Score"),
    "Score is an array": (_answer(Score=[99]), "no numeric Score"),
    "Score is an object": (_answer(Score={"Score": 99}), "no numeric Score"),
    "Score is NaN": (_answer(Score=float("nan")), "not JSON"),
    "Score is infinite": (_answer(Score=float("inf")), "not JSON"),
    "Score overflows": (b'{"Response":{"Score":1e999}}', "not JSON"),
    "Score has 5000 digits": (b'{"Response":{"Score":' + b"9" * 5000 + b"}}", "not JSON"),
    "Score is too low": (_answer(Score=-0.001), "outside 0 to 100"),
    "Score is too high": (_answer(Score=100.001), "outside 0 to 100"),
    "Score is far too high": (_answer(Score=10**30), "outside 0 to 100"),
    "model version is a number": (_answer(Score=9, FaceModelVersion=3.0), "FaceModelVersion is not a text"),
    "request id is a number": (_answer(Score=9, RequestId=5), "RequestId is not a text"),
    "request id of an error is a number": (
        _answer(Error={"Code": "InternalError"}, RequestId=5),
        "RequestId is not a text",
    ),
    "Error is a text": (_answer(Error="InternalError"), "no Code"),
    "Error is empty": (_answer(Error={}), "no Code"),
    "Code is empty": (_answer(Error={"Code": "", "Message": ""}), "no Code"),
    "Code is a number": (_answer(Error={"Code": 5, "Message": ""}), "no Code"),
    "deeply nested": (b'{"Response":' * 5000 + b"1" + b"}" * 5000, "not JSON"),
    "deeply nested array": (b"[" * 60_000, "not JSON"),
    "10 MB of junk": (b"\x00\xff" * 5_000_000, "longer than"),
    "10 MB of spaces": (SUCCESS + b" " * 10_000_000, "longer than"),
}


@pytest.mark.parametrize(("content", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_an_answer_is_malformed(content: bytes, reason: str) -> None:
    """What is not an answer of the API is one error, with the reason, the status and the first 200 bytes."""
    error = _refuse(content, status=502)
    assert reason in str(error)
    assert "HTTP 502" in str(error)
    assert error.status == 502
    assert error.excerpt == content[:200]
    assert error.is_billed is None


@pytest.mark.parametrize(
    ("content", "request_id"),
    [
        (SUCCESS[:-1], REQUEST_ID),
        (SUCCESS.replace(b'":', b'"\n :\t').replace(b"99.5", b"-1"), REQUEST_ID),
        (_answer(Score="99", RequestId=REQUEST_ID), REQUEST_ID),
        (b"<html>" + SUCCESS, REQUEST_ID),
        (SUCCESS + b" " * 10_000_000, REQUEST_ID),
        (SUCCESS[:-10], ""),
        (b"<html></html>", ""),
        (b'{"RequestId":"%s"' % (b"a" * 65), ""),
        (b'{"RequestId":"<script>"', ""),
    ],
    ids=[
        "cut off after it",
        "spaced",
        "wrong score",
        "inside junk",
        "before junk",
        "cut off in it",
        "absent",
        "too long",
        "of other characters",
    ],
)
def test_malformed_answer_keeps_its_request_id(content: bytes, request_id: str) -> None:
    """The request id is found in a malformed answer if it is whole; nothing else is taken for one."""
    assert _refuse(content).request_id == request_id


DUPLICATES = {
    "Response": b'{"Response":{},"Response":{"Score":99}}',
    "Score": b'{"Response":{"Score":1,"Score":99}}',
    "Score, escaped first": b'{"Response":{"\\u0053core":1,"Score":99}}',
    "Score, escaped last": b'{"Response":{"Score":1,"Sc\\u006fre":99}}',
    "FaceModelVersion": b'{"Response":{"Score":1,"FaceModelVersion":"2.0","FaceModelVersion":"3.0"}}',
    "RequestId": b'{"Response":{"Score":1,"RequestId":"a","RequestId":"b"}}',
    "Error": b'{"Response":{"Error":{"Code":"A"},"Error":{"Code":"B"}}}',
    "Error, one null": b'{"Response":{"Error":{"Code":"A"},"Error":null}}',
    "Code": b'{"Response":{"Error":{"Code":"A","Code":"B"}}}',
    "Code, escaped": b'{"Response":{"Error":{"Code":"A","\\u0043ode":"B"}}}',
    "Message": b'{"Response":{"Error":{"Code":"A","Message":"a","Message":"b"}}}',
}


@pytest.mark.parametrize("content", DUPLICATES.values(), ids=DUPLICATES)
def test_key_that_occurs_twice_is_malformed(content: bytes) -> None:
    """An answer that says something twice is not believed, also if one of the keys is escaped."""
    assert "a key twice" in str(_refuse(content))


def test_longest_answer_is_read() -> None:
    """An answer of exactly the greatest length is read; one more byte is malformed."""
    content = SUCCESS.ljust(MAX_RESPONSE_BYTES)
    assert parse_response(content, status=200).score == 99.5
    assert "longer than" in str(_refuse(content + b" "))


@pytest.mark.parametrize("depth", [10, 500, 900, 990, 1000, 1010, 1020, 1024, 1030, 2000])
@pytest.mark.parametrize("suspicious", [b"", b"\\u0041"])
def test_nesting_never_overflows_the_stack(depth: int, suspicious: bytes) -> None:
    """An answer with deeply nested fields is a score or malformed, whichever parser gives up first."""
    junk = b"[" * depth + b'"' + suspicious + b'"' + b"]" * depth
    content = SUCCESS.replace(b'"Score"', b'"Junk":' + junk + b',"Score"')
    assert isinstance(_parse(content), LivenessScore | MalformedResponseError)


@pytest.mark.parametrize("depth", range(900, 1024, 10))
def test_key_twice_is_found_behind_nesting(depth: int) -> None:
    """Nested fields, however deep, do not hide that a key occurs twice."""
    junk = b"[" * depth + b"]" * depth
    content = SUCCESS.replace(b'"Score"', b'"Junk":' + junk + b',"\\u0053core":1,"Score"')
    assert "a key twice" in str(_refuse(content))


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_score_or_a_typed_error(content: bytes) -> None:
    """Whatever bytes come back, only a score or a typed error comes out; no random bytes are a score."""
    assert isinstance(_parse(content), MalformedResponseError)


@given(json_values | st.fixed_dictionaries({"Response": json_values}))
def test_any_json_is_a_score_or_a_typed_error(value: Any) -> None:
    """Whatever JSON comes back, only a score or a typed error comes out."""
    _assert_sound(_parse(json.dumps(value).encode()))


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "Score": json_values,
            "FaceModelVersion": json_values,
            "RequestId": json_values,
            "Error": st.fixed_dictionaries({}, optional={"Code": json_values, "Message": json_values}),
        },
    )
)
def test_any_fields_are_a_score_or_a_typed_error(fields: dict[str, Any]) -> None:
    """Whatever the fields of the answer hold, the result is the one that their types allow."""
    result = _parse(_answer(**fields))
    _assert_sound(result)
    if isinstance(result, LivenessScore):
        assert "Error" not in fields
        assert result.score == fields["Score"]
        assert not isinstance(fields["Score"], bool)
    if isinstance(result, LivenessAPIError):
        assert result.code == fields["Error"]["Code"]


valid_answers = st.sampled_from([SUCCESS, FAILURE])


@given(valid_answers, st.data())
def test_cut_off_answer_is_malformed(content: bytes, data: st.DataObject) -> None:
    """An answer that is cut off anywhere is malformed, never a score or the service's error."""
    end = data.draw(st.integers(0, len(content) - 1))
    assert isinstance(_parse(content[:end]), MalformedResponseError)


@given(valid_answers, st.data())
def test_damaged_answer_is_a_score_or_a_typed_error(content: bytes, data: st.DataObject) -> None:
    """An answer with bytes replaced, removed, repeated or inserted is a score or a typed error."""
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 30)))
    junk = data.draw(
        st.binary(max_size=4)
        | st.just(content[start:end] * 2)
        | st.sampled_from([b",", b'"', b"{", b"}", b"null", b"1e999", b"-", b"\\", b"\\u0053"])
    )
    _assert_sound(_parse(content[:start] + junk + content[end:]))


@given(st.sampled_from(["Score", "FaceModelVersion", "RequestId"]), json_values, json_values, st.data())
def test_repeated_field_is_never_a_score(key: str, first: Any, last: Any, data: st.DataObject) -> None:
    """A field that occurs twice never gives a score, whichever of its letters are escaped."""
    escaped = "".join(
        f"\\u{ord(letter):04x}" if data.draw(st.booleans(), label=letter) else letter for letter in key
    )
    fields = {"Score": 1, "FaceModelVersion": "3.0", "RequestId": "a"} | {key: first}
    body = json.dumps(fields)[:-1] + f', "{escaped}": {json.dumps(last)}}}'
    assert isinstance(_parse(f'{{"Response": {body}}}'.encode()), MalformedResponseError)


def test_error_code_is_not_read_from_elsewhere() -> None:
    """Only the error inside the Response object counts."""
    document = {"Error": {"Code": "InternalError"}, "Response": {"Score": 5}}
    assert parse_response(json.dumps(document).encode(), status=200).score == 5


def test_an_error_of_null_is_none() -> None:
    """A score beside an empty Error is a score: what was paid for is not thrown away."""
    content = b'{"Response":{"Score":9,"Error":null,"FaceModelVersion":"3.0","RequestId":"r"}}'
    assert parse_response(content, status=200).score == 9
