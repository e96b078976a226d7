from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox._answers import RefusalError
from tencent_liveness_async.sandbox._parameters import check_headers, parse_parameters

LARGE = "QUJD" * 20_000
HEADERS = {
    "content-type": "application/json",
    "x-tc-action": "DetectLiveFaceAccurate",
    "x-tc-version": "2020-03-03",
}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "InvalidRequest"),
        (b"{", "InvalidRequest"),
        (b"\xff\xfe{}", "InvalidRequest"),
        (b"[" * 100_000, "InvalidRequest"),
        (b"[]", "InvalidRequest"),
        (b'{"Image": 5}', "InvalidParameter"),
        (b'{"Url": ["a"]}', "InvalidParameter"),
        (b'{"Image": "QUJD", "FaceModelVersion": 3.0}', "InvalidParameter"),
        (b'{"Image": "QUJD", "Quality": 1}', "UnknownParameter"),
        (b'{"Image": "QUJD", "FaceModelVersion": "2.0"}', "InvalidParameterValue.FaceModelVersionIllegal"),
        (b"{}", "MissingParameter.ErrorParameterEmpty"),
        (b'{"Image": null, "Url": null}', "MissingParameter.ErrorParameterEmpty"),
        (b'{"Url": ""}', "MissingParameter.ErrorParameterEmpty"),
        (b'{"Image": ""}', "InvalidParameterValue.ImageEmpty"),
    ],
)
def test_wrong_json_is_refused(payload: bytes, code: str) -> None:
    """Bad JSON, wrong types, unknown parameters and a missing photo have their codes."""
    with pytest.raises(RefusalError) as caught:
        parse_parameters(payload)
    assert caught.value.code == code


def test_url_wins_over_image() -> None:
    """If both are given only the URL is used."""
    parameters = parse_parameters(b'{"Image": "QUJD", "Url": "http://a.test", "FaceModelVersion": "3.0"}')
    assert (parameters.image, parameters.url) == (None, "http://a.test")


@pytest.mark.parametrize(
    "payload",
    [
        {"Image": LARGE},
        {"FaceModelVersion": "3.0", "Image": LARGE},
        {"Image": LARGE, "FaceModelVersion": "3.0", "Url": None},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " :\n"), None])
def test_large_image_is_cut_out(payload: dict[str, str], separators: tuple[str, str] | None) -> None:
    """A large image arrives the same, however its JSON is written."""
    image = parse_parameters(json.dumps(payload, separators=separators).encode()).image
    assert image == LARGE.encode()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Image": LARGE[:-1] + '"'}),
        json.dumps({"Image": "QUJD", "FaceModelVersion": "3.0", "Url": None}) + " " * 70_000,
        '{"FaceModelVersion": "3.0",' + f'"Image":"QUJD","Image":"{LARGE}"}}',
        json.dumps({"FaceModelVersion": None, "Image": "QUJD" * 4}) + "\n" * 70_000,
    ],
)
def test_unusual_large_body_is_read_as_json(body: str) -> None:
    """Where cutting is not safe, the body is read as JSON reads it."""
    image = parse_parameters(body.encode()).image
    assert (image.decode() if isinstance(image, bytes) else image) == json.loads(body)["Image"]


@pytest.mark.parametrize(
    "body",
    [
        '{"Image"' + " " * 70_000 + ': "QUJD"}',
        '{"Image" "' + LARGE + '"}',
        '{"Image": ' + LARGE + "}",
        '{"Image": "' + LARGE,
        '{"Image": "' + LARGE + '" and more}',
        '{"Url": "' + LARGE + '"}',
        '{"Image": 5, "Url": "' + LARGE + '"}',
        '["Image", "' + LARGE + '"]',
    ],
)
def test_broken_large_body_is_judged_as_json(body: str) -> None:
    """A large body without an image where one is expected has the same fate as a small one."""
    try:
        expected = json.loads(body)
    except ValueError:
        expected = None
    if isinstance(expected, dict) and all(isinstance(value, str) for value in expected.values()):
        parameters = parse_parameters(body.encode())
        assert {parameters.image, parameters.url} - {None} == set(expected.values())
        return
    with pytest.raises(RefusalError, match=r"Invalid(Request|Parameter)"):
        parse_parameters(body.encode())


@given(st.text(alphabet='{}[]":, \\ImageUrlQUJD=', max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """Whatever a body holds, it is parsed or refused with a code."""
    for body in (text.encode(), text.encode() + b" " * 70_000):
        with contextlib.suppress(RefusalError):
            parse_parameters(body)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("content-type", "text/plain", "InvalidRequest"),
        ("x-tc-action", "DetectFace", "InvalidAction"),
        ("x-tc-version", "2018-03-01", "NoSuchVersion"),
        ("x-tc-action", "", "MissingParameter"),
        ("x-tc-version", "", "MissingParameter"),
    ],
)
def test_wrong_headers_are_refused(name: str, value: str, code: str) -> None:
    """Content type, action and version have their codes."""
    with pytest.raises(RefusalError) as caught:
        check_headers({**HEADERS, name: value})
    assert caught.value.code == code


def test_charset_is_allowed() -> None:
    """JSON may be sent with a charset."""
    check_headers({**HEADERS, "content-type": "Application/JSON; charset=utf-8"})
