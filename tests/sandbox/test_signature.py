from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async._protocol.signing import ALGORITHM, build_authorization, hash_payload, utc_date
from tencent_liveness_async.sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY, SandboxSettings
from tencent_liveness_async.sandbox._answers import RefusalError
from tencent_liveness_async.sandbox._signature import check_signature

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"Url":"http://photos.test/1.jpg"}'
NOW = 1_700_000_000
SETTINGS = SandboxSettings(wall_clock=lambda: NOW)


@pytest.fixture
def find_code(sign: Callable[..., dict[str, str]]) -> Callable[..., str | None]:
    """Say with which code a call is refused, None if it is not."""

    def find(*, settings: SandboxSettings = SETTINGS, **changes: Any) -> str | None:
        headers = sign(BODY, **{"timestamp": NOW, **changes})
        try:
            check_signature(headers, hash_payload(BODY), settings)
        except RefusalError as refusal:
            return refusal.code
        return None

    return find


def test_signed_call_is_taken(find_code: Callable[..., str | None]) -> None:
    """A call signed with the sandbox's key, now, is taken."""
    assert find_code() is None


def test_unsigned_payload_is_honoured(find_code: Callable[..., str | None]) -> None:
    """With UNSIGNED-PAYLOAD in its header the body is not part of the signature."""
    assert find_code(is_unsigned=True) is None
    assert find_code(is_unsigned=True, x_tc_content_sha256=None) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    ("host", "signed_host"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:8080", "[::1]"),
        ("localhost", "localhost"),
    ],
)
def test_host_may_be_signed_without_its_port(
    find_code: Callable[..., str | None], host: str, signed_host: str
) -> None:
    """The Node SDK leaves the port out of what it signs."""
    assert find_code(host=host, signed_host=signed_host) is None


def test_other_host_is_refused(find_code: Callable[..., str | None]) -> None:
    """What is signed is the host that was called."""
    assert find_code(host="a.test:80", signed_host="b.test") == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    ("host", "service", "is_right"),
    [
        ("127.0.0.1:80", "iai", True),
        ("127.0.0.1:80", "127", True),
        ("localhost:80", "localhost:80", True),
        ("localhost:80", "localhost", True),
        ("iai.test", "cvm", False),
    ],
)
def test_service_is_iai_or_the_first_label(
    find_code: Callable[..., str | None], host: str, service: str, *, is_right: bool
) -> None:
    """Some clients take the service from the host they call."""
    expected = None if is_right else "AuthFailure.SignatureFailure"
    assert find_code(host=host, service=service) == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authorization": None}, "MissingParameter"),
        ({"x_tc_timestamp": None}, "MissingParameter"),
        ({"x_tc_timestamp": "now"}, "InvalidParameter"),
        ({"x_tc_timestamp": "9" * 30}, "InvalidParameter"),
        ({"x_tc_timestamp": "²"}, "InvalidParameter"),
        ({"secret_id": "AKIDother"}, "AuthFailure.SecretIdNotFound"),
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"content_type": "text/plain"}, "AuthFailure.SignatureFailure"),
        ({"content_type": None}, "AuthFailure.SignatureFailure"),
        ({"x_tc_timestamp": str(NOW + 1)}, "AuthFailure.SignatureFailure"),
        ({"x_tc_token": "t"}, "AuthFailure.TokenFailure"),
        ({"authorization": "SKIP"}, "AuthFailure.InvalidAuthorization"),
        ({"authorization": "Basic abc"}, "AuthFailure.InvalidAuthorization"),
    ],
)
def test_wrong_headers_are_refused(
    find_code: Callable[..., str | None], changes: dict[str, str | None], code: str
) -> None:
    """Each thing that can be wrong with a signature has its code."""
    assert find_code(**changes) == code


@pytest.mark.parametrize(
    "text",
    [
        "{algorithm} Credential={id}/{date}/iai, SignedHeaders=content-type;host, Signature=0",
        "{algorithm} Credential={id}/{date}/iai/tc2_request, SignedHeaders=content-type;host, Signature=0",
        "{algorithm} Credential={id}/{date}/iai/tc3_request, SignedHeaders=host, Signature=0",
        "{algorithm} Credential={id}/{date}/iai/tc3_request, Signature=0",
        "{algorithm} Credential={id}/{date}/iai/tc3_request, SignedHeaders=content-type;host",
        "TC3-MD5 Credential={id}/{date}/iai/tc3_request, SignedHeaders=content-type;host, Signature=0",
    ],
)
def test_malformed_authorization_is_refused(find_code: Callable[..., str | None], text: str) -> None:
    """Another algorithm, scope or set of fields is not an authorization."""
    authorization = text.format(algorithm=ALGORITHM, id=SANDBOX_SECRET_ID, date=utc_date(NOW))
    assert find_code(authorization=authorization) == "AuthFailure.InvalidAuthorization"


def test_scope_date_fits_the_timestamp(find_code: Callable[..., str | None]) -> None:
    """A date that is not the timestamp's is refused, though key and time are right."""
    text = (
        f"{ALGORITHM} Credential={SANDBOX_SECRET_ID}/2019-02-25/iai/tc3_request, "
        "SignedHeaders=content-type;host, Signature=0"
    )
    assert find_code(authorization=text) == "AuthFailure.SignatureFailure"


def test_further_signed_headers_are_covered(find_code: Callable[..., str | None]) -> None:
    """Every header that is listed as signed is part of the signature."""
    signed = [("content-type", "application/json"), ("host", "a.test"), ("x-tc-action", "Other")]
    text = build_authorization(
        secret_id=SANDBOX_SECRET_ID,
        secret_key=SANDBOX_SECRET_KEY,
        service="iai",
        timestamp=NOW,
        headers=signed,
        payload_sha256=hash_payload(BODY),
    )
    right = {"host": "a.test", "authorization": text, "x_tc_action": "Other"}
    assert find_code(**right) is None
    assert find_code(**{**right, "x_tc_action": "Changed"}) == "AuthFailure.SignatureFailure"
    assert find_code(**{**right, "x_tc_action": None}) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(("skew", "is_taken"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_timestamp_is_within_five_minutes(
    find_code: Callable[..., str | None], skew: int, *, is_taken: bool
) -> None:
    """A call more than five minutes off is refused as expired."""
    expected = None if is_taken else "AuthFailure.SignatureExpire"
    assert find_code(timestamp=NOW + skew) == expected


@pytest.mark.parametrize(
    ("token", "code"),
    [("t", None), ("other", "AuthFailure.TokenFailure"), (None, "AuthFailure.TokenFailure")],
)
def test_token_is_the_credentials(
    find_code: Callable[..., str | None], token: str | None, code: str | None
) -> None:
    """A temporary key works with its token only."""
    settings = SandboxSettings(token="t", wall_clock=lambda: NOW)
    assert find_code(settings=settings, x_tc_token=token) == code


def test_default_clock_is_the_machines(sign: Callable[..., dict[str, str]]) -> None:
    """Without a clock of its own the sandbox tells the time of day."""
    check_signature(sign(BODY, timestamp=int(time.time())), hash_payload(BODY), SandboxSettings())
