from __future__ import annotations

import pytest

from tencent_liveness_async._credentials import Credential, EnvironmentCredentials
from tencent_liveness_async._errors import ConfigurationError, MissingCredentialsError

KEY = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "hidden-key"}


async def test_key_is_read() -> None:
    """The secret id and the secret key are read by the platform's names; there need be no token."""
    assert await EnvironmentCredentials(KEY).get() == Credential("id", "hidden-key")


@pytest.mark.parametrize(
    ("tokens", "token"),
    [
        ({"TENCENTCLOUD_TOKEN": "a"}, "a"),
        ({"TENCENTCLOUD_SESSION_TOKEN": "b"}, "b"),
        ({"TENCENTCLOUD_SESSION_TOKEN": "b", "TENCENTCLOUD_TOKEN": "a"}, "a"),
        ({"TENCENTCLOUD_SESSION_TOKEN": "b", "TENCENTCLOUD_TOKEN": ""}, "b"),
        ({"TENCENTCLOUD_SESSION_TOKEN": "b", "TENCENTCLOUD_TOKEN": " \n"}, "b"),
        ({"TENCENTCLOUD_SESSION_TOKEN": "", "TENCENTCLOUD_TOKEN": " "}, None),
    ],
)
async def test_token_is_read_by_either_name(tokens: dict[str, str], token: str | None) -> None:
    """The token may have either of its two names; the command line's wins, and an empty one is none."""
    assert (await EnvironmentCredentials(KEY | tokens).get()).token == token


async def test_space_around_a_value_is_dropped() -> None:
    """Spaces and line breaks around a value, as a file's last line brings them, do not matter."""
    environment = {name: f" \t{value}\r\n" for name, value in KEY.items()}
    environment["TENCENTCLOUD_TOKEN"] = "\ntoken\n"
    assert await EnvironmentCredentials(environment).get() == Credential("id", "hidden-key", "token")


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"]),
        ({"TENCENTCLOUD_TOKEN": "token"}, ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"]),
        ({"TENCENTCLOUD_SECRET_ID": "id"}, ["TENCENTCLOUD_SECRET_KEY"]),
        ({"TENCENTCLOUD_SECRET_KEY": "hidden-key"}, ["TENCENTCLOUD_SECRET_ID"]),
        (KEY | {"TENCENTCLOUD_SECRET_ID": ""}, ["TENCENTCLOUD_SECRET_ID"]),
        (KEY | {"TENCENTCLOUD_SECRET_KEY": " \n"}, ["TENCENTCLOUD_SECRET_KEY"]),
    ],
)
async def test_missing_variables_are_named(environment: dict[str, str], missing: list[str]) -> None:
    """The error names the variables that are missing, and only those, and shows no value."""
    with pytest.raises(MissingCredentialsError) as caught:
        await EnvironmentCredentials(environment).get()
    names = [name for name in KEY if name in str(caught.value)]
    assert names == missing
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", [*KEY, "TENCENTCLOUD_TOKEN"])
async def test_line_break_inside_a_value_is_refused_unseen(name: str) -> None:
    """A value with a line break in it is refused, and named, without being shown."""
    with pytest.raises(ConfigurationError, match=name.removeprefix("TENCENTCLOUD_").lower()) as caught:
        await EnvironmentCredentials(KEY | {name: "hid\nden"}).get()
    assert not isinstance(caught.value, MissingCredentialsError)
    assert "hid" not in str(caught.value)


async def test_replaced_key_is_taken_up() -> None:
    """The environment is read each time, so that a replaced key is used from the next attempt on."""
    environment = dict(KEY)
    provider = EnvironmentCredentials(environment)
    await provider.get()
    environment["TENCENTCLOUD_SECRET_KEY"] = "new-key"
    assert (await provider.get()).secret_key == "new-key"


async def test_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping the process's own environment is read, when it is asked for."""
    provider = EnvironmentCredentials()
    for name, value in {**KEY, "TENCENTCLOUD_TOKEN": "", "TENCENTCLOUD_SESSION_TOKEN": ""}.items():
        monkeypatch.setenv(name, value)
    assert await provider.get() == Credential("id", "hidden-key")


def test_environment_is_not_shown() -> None:
    """No text of the provider shows the environment."""
    provider = EnvironmentCredentials(KEY)
    assert "hidden" not in f"{provider} {provider!r}"
