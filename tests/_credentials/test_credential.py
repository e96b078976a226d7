from __future__ import annotations

import copy
import pickle
import traceback
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._credentials import Credential, StaticCredentials
from tencent_liveness_async._errors import ConfigurationError

CREDENTIAL = Credential("AKIDexample", "hidden-key", "hidden-token")
FIELDS = ("secret_id", "secret_key", "token")


def test_token_is_optional() -> None:
    """A permanent key has no token."""
    assert Credential("id", "key").token is None
    assert CREDENTIAL.token == "hidden-token"


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda credential: f"{[credential]}"])
def test_secrets_are_not_shown(show: object) -> None:
    """No text of a credential shows the secret key or the token; the secret id tells which key it is."""
    assert callable(show)
    assert "hidden" not in show(CREDENTIAL)
    assert "AKIDexample" in show(CREDENTIAL)


def test_provider_does_not_show_its_secrets() -> None:
    """No text of what provides a credential shows the secrets."""
    provider = StaticCredentials(CREDENTIAL)
    assert "hidden" not in f"{provider} {provider!r}"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        "hidden\n",
        "\r\nhidden",
        "hid\nden",
        "hid den",
        "\thidden",
        "hidden\x00",
        "hídden",
        "hidden\u2028",
    ],
)
def test_text_that_no_key_has_is_refused_unseen(field: str, wrong: str) -> None:
    """A key with a line break, a space or another sign that no key has is refused without being shown."""
    texts = dict.fromkeys(FIELDS, "fine") | {field: wrong}
    with pytest.raises(ConfigurationError) as caught:
        Credential(**texts)
    assert field in str(caught.value)
    assert "line break" in str(caught.value)
    assert "hid" not in "".join(traceback.format_exception_only(caught.value))


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_printable_ascii_is_accepted(text: str) -> None:
    """Any text of printable ASCII signs without spaces may be a key and is kept as it is."""
    credential = Credential(text, text, text)
    assert (credential.secret_id, credential.secret_key, credential.token) == (text, text, text)


@given(st.text(st.characters(), max_size=10))
def test_any_text_is_kept_or_refused(text: str) -> None:
    """Whatever text is given as a secret key, it is kept, and can stand in a header, or is refused."""
    try:
        credential = Credential("id", text)
    except ConfigurationError:
        return
    assert credential.secret_key == text
    assert set(text) <= set(map(chr, range(0x21, 0x7F)))
    assert text


def test_credential_is_a_frozen_value() -> None:
    """A credential is compared by its texts, cannot be changed, and has no other attributes."""
    assert Credential("AKIDexample", "hidden-key", "hidden-token") == CREDENTIAL
    assert Credential("AKIDexample", "other-key", "hidden-token") != CREDENTIAL
    with pytest.raises(FrozenInstanceError):
        CREDENTIAL.secret_key = "other"  # type: ignore[misc]
    assert not hasattr(CREDENTIAL, "__dict__")
    assert pickle.loads(pickle.dumps(CREDENTIAL)) == CREDENTIAL == copy.copy(CREDENTIAL)


async def test_static_credentials_are_always_the_same() -> None:
    """The provider of one credential provides it each time."""
    provider = StaticCredentials(CREDENTIAL)
    assert await provider.get() is CREDENTIAL
    assert await provider.get() is CREDENTIAL
