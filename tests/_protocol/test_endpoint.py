from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async._protocol.endpoint import DEFAULT_ENDPOINT, Endpoint, Endpoints


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        (DEFAULT_ENDPOINT, "https://iai.tencentcloudapi.com/", "iai.tencentcloudapi.com"),
        ("iai.tencentcloudapi.com", "https://iai.tencentcloudapi.com/", "iai.tencentcloudapi.com"),
        ("iai.tencentcloudapi.com/", "https://iai.tencentcloudapi.com/", "iai.tencentcloudapi.com"),
        ("HTTPS://IAI.Intl.TencentCloudAPI.com", "https://iai.intl.tencentcloudapi.com/", None),
        ("https://example.com:443", "https://example.com/", "example.com"),
        ("http://example.com:80/", "http://example.com/", "example.com"),
        ("https://example.com:80", "https://example.com:80/", "example.com:80"),
        ("http://example.com:443", "http://example.com:443/", "example.com:443"),
        ("localhost:8080", "https://localhost:8080/", "localhost:8080"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535/", "127.0.0.1:65535"),
        ("http://[::1]:8080", "http://[::1]:8080/", "[::1]:8080"),
        ("[2001:DB8::1]", "https://[2001:db8::1]/", "[2001:db8::1]"),
        ("https://example.com:", "https://example.com/", "example.com"),
        ("my_host", "https://my_host/", "my_host"),
    ],
)
def test_address_becomes_url_and_host(text: str, url: str, host: str | None) -> None:
    """A URL, or a bare host, becomes the URL to send to and the Host header, in lower case."""
    assert Endpoint.parse(text) == Endpoint(url, url.split("/")[2] if host is None else host)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "with a host"),
        ("https://", "with a host"),
        ("https:///", "with a host"),
        ("https://:443", "with a host"),
        ("ftp://example.com", "http or https"),
        ("httpss://example.com", "http or https"),
        ("://example.com", "more than"),
        ("https://example.com/v3", "more than"),
        ("https://example.com?a=b", "more than"),
        ("https://example.com#a", "more than"),
        ("https://user@example.com", "user name"),
        ("https://user:word@example.com", "user name"),
        ("https://@example.com", "user name"),
        ("https://example.com:port", "is not a URL"),
        ("https://example.com:65536", "is not a URL"),
        ("https://example.com:-1", "is not a URL"),
        ("::1", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://[example]", "is not a URL"),
        ("https://example.com:0", "with a host"),
        ("https://a[::1]", ""),
        ("https://[::1]a", ""),
        ("exa mple.com", "with a host"),
        (" example.com", "with a host"),
        ("example.com\n", "with a host"),
        ("exam\tple.com", "with a host"),
        ("example.com\r\nX-Evil: 1", "is not a URL"),
        ("例え.jp", "with a host"),
        ("example.com\\@evil.com", "user name"),
        ("a<b", "with a host"),
    ],
)
def test_other_address_is_refused(text: str, reason: str) -> None:
    """What the API could not be served at is refused with the reason, and shown unless it has a password."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.parse(text)
    assert reason in str(caught.value)
    assert (repr(text) in str(caught.value)) is ("@" not in text)


@pytest.mark.parametrize(
    "host",
    [
        "iai.tencentcloudapi.com",
        "IAI.TencentCloudAPI.COM",
        "iai.ap-shanghai.tencentcloudapi.com:8080",
        "iai.internal.tencentcloudapi.com",
        "iai.tencentcloudapi.com.",
        "tencentcloudapi.com",
    ],
)
def test_service_is_never_called_in_clear(host: str) -> None:
    """The service's own hosts are refused over http, and taken over https."""
    with pytest.raises(ConfigurationError, match="must be https"):
        Endpoint.parse(f"http://{host}")
    assert Endpoint.parse(f"https://{host}").url.startswith("https://")


def test_other_host_may_be_called_in_clear() -> None:
    """Another host, such as an emulator's, may be http, also if its name resembles the service's."""
    assert Endpoint.parse("http://nottencentcloudapi.com").host == "nottencentcloudapi.com"
    assert Endpoint.parse("http://tencentcloudapi.com.example").host == "tencentcloudapi.com.example"


@given(
    st.text(max_size=30)
    | st.text(alphabet="a.:/[]@1%?#\\ \n", max_size=20).map("https://".__add__)
    | st.from_regex(r"(https?://)?[a-z0-9.-]{1,20}(:[0-9]{0,6})?/?", fullmatch=True)
)
@example("https://[v1.a]")
@example("https://[fe80::1%eth0]")
@example("https://[::ffff:127.0.0.1]")
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    """Whatever text is given, it is an endpoint that can stand in a header, or a configuration error."""
    try:
        endpoint = Endpoint.parse(text)
    except ConfigurationError:
        return
    assert Endpoint.parse(endpoint.url) == endpoint
    assert endpoint.url.endswith(f"://{endpoint.host}/")
    assert endpoint.host.isascii()
    assert not set(endpoint.host) & set(" /?#@\\%\r\n\t\x00")


FIRST, SECOND, THIRD = (Endpoint.parse(f"iai.{region}.example.test") for region in ("one", "two", "three"))


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


def test_the_first_endpoint_serves_until_it_fails() -> None:
    """A failure moves the calls to the next endpoint, and after a minute they go back to the first."""
    clock = Clock()
    endpoints = Endpoints([FIRST, SECOND], clock)
    assert endpoints.current == FIRST
    endpoints.note_failure(FIRST)
    assert endpoints.current == SECOND
    clock.seconds += 59.9
    assert endpoints.current == SECOND
    clock.seconds += 0.1
    assert endpoints.current == FIRST


def test_calls_that_fail_together_move_on_once() -> None:
    """Many calls under way to an endpoint that dies do not use up the endpoints behind it."""
    endpoints = Endpoints([FIRST, SECOND, THIRD], Clock())
    for _ in range(50):
        endpoints.note_failure(FIRST)
    assert endpoints.current == SECOND


def test_when_all_endpoints_fail_it_goes_round() -> None:
    """After the last endpoint the first is tried again, at once."""
    endpoints = Endpoints([FIRST, SECOND, THIRD], Clock())
    served = []
    for _ in range(7):
        served.append(endpoints.current)
        endpoints.note_failure(endpoints.current)
    assert served == [FIRST, SECOND, THIRD, FIRST, SECOND, THIRD, FIRST]


def test_a_single_endpoint_stays() -> None:
    """Without a fall-back, failures change nothing."""
    endpoints = Endpoints([FIRST], Clock())
    endpoints.note_failure(FIRST)
    assert endpoints.current == FIRST


@given(st.integers(1, 4), st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30))
def test_the_first_endpoint_is_never_left_for_more_than_a_minute(
    count: int, steps: list[tuple[float, bool]]
) -> None:
    """A minute after the latest failure the first endpoint serves, whatever has failed before."""
    clock, choice = Clock(), [FIRST, SECOND, THIRD, Endpoint.parse("four.example.test")][:count]
    endpoints, failed_at = Endpoints(choice, clock), 0.0
    for seconds, is_failed in steps:
        clock.seconds += seconds
        assert endpoints.current in choice
        if clock.seconds >= failed_at + 60:
            assert endpoints.current == FIRST
        if is_failed:
            endpoints.note_failure(endpoints.current)
            failed_at = clock.seconds
