from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tencent_liveness_async._protocol.body import RequestBody, build_image_body, build_url_body

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "signing_vectors.json").read_text())
UNSIGNED = VECTORS["unsigned_payload"]["hash_used_in_canonical_request"]

# Any text that can be encoded: all but lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]))
versions = st.none() | texts


def _whole(body: RequestBody) -> bytes:
    """Return the content of a body that is not in chunks."""
    assert isinstance(body.content, bytes)
    return body.content


def _fields(body: RequestBody) -> dict[str, str]:
    """Decode a body, refusing a key that occurs twice."""
    pairs = json.loads(_whole(body), object_pairs_hook=list)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@given(st.binary(max_size=4000), versions)
@example(b"", None)
@example(bytes(range(256)), "3.0")
def test_image_body_decodes_to_the_same_bytes(data: bytes, version: str | None) -> None:
    """A photo's body is a JSON object with the photo in standard Base64 and nothing else but the model."""
    fields = _fields(build_image_body(data, model_version=version))
    assert base64.b64decode(fields.pop("Image"), validate=True) == data
    assert fields == ({} if version is None else {"FaceModelVersion": version})


@given(texts, versions)
@example('https://example.com/"\\\n\x7f\u2028é照', "3.0")
def test_url_body_holds_the_same_url(url: str, version: str | None) -> None:
    """A URL's body is a JSON object with that URL and nothing else but the model."""
    fields = _fields(build_url_body(url, model_version=version))
    assert fields.pop("Url") == url
    assert fields == ({} if version is None else {"FaceModelVersion": version})


@given(st.binary(max_size=500), texts)
def test_sha256_is_that_of_the_content(data: bytes, url: str) -> None:
    """A signed body carries the SHA-256 of exactly what is sent."""
    for body in (build_image_body(data), build_url_body(url)):
        assert body.sha256 == sha256(_whole(body)).hexdigest()
        assert body.content_length == len(_whole(body))


@pytest.mark.parametrize(
    "body", [build_image_body(b"x", is_signed=False), build_url_body("x", is_signed=False)]
)
def test_unsigned_body_carries_the_published_hash(body: RequestBody) -> None:
    """A body that is not signed carries the published hash of UNSIGNED-PAYLOAD."""
    assert body.sha256 == UNSIGNED


def test_signing_does_not_change_the_content() -> None:
    """The same bytes are sent whether they are signed or not."""
    assert build_image_body(b"photo").content == build_image_body(b"photo", is_signed=False).content
    assert build_url_body("url").content == build_url_body("url", is_signed=False).content


def test_body_has_no_spare_bytes() -> None:
    """A body is no longer than its Base64 text and the shortest JSON around it."""
    assert build_image_body(b"abc").content == b'{"Image":"YWJj"}'
    assert build_url_body("u", model_version="3.0").content == b'{"Url":"u","FaceModelVersion":"3.0"}'


def test_repr_hides_the_content() -> None:
    """A body's repr does not show the photo."""
    body = build_image_body(b"abc")
    assert "YWJj" not in repr(body)
    assert body.sha256 in repr(body)
