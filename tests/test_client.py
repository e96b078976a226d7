from __future__ import annotations

import asyncio
import base64
import io
import math
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from virtual_time import run_virtual

from tencent_liveness_async import (
    AccountError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Credential,
    DeadlineExceededError,
    Failed,
    LivenessClient,
    MissingCredentialsError,
    NoFaceError,
    Outcome,
    Photo,
    PhotoError,
    PhotoRejectedError,
    PhotoUnreadableError,
    RunStoppedError,
    Scored,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx


pytest.importorskip("PIL")

from PIL import Image
from sandbox_clients import KEY, URL, make_client, with_client

from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    FaultRule,
    Latency,
    SandboxSettings,
    SandboxTransport,
    invent_score,
)
from tencent_liveness_async.sandbox import SandboxApp as App

PHOTOS = Path(__file__).parents[1] / "examples" / "photos"


def test_a_url_is_scored() -> None:
    """A URL comes back with the service's score, model version and request id."""
    result, app = with_client(lambda client: client.score(URL))
    assert result.score == invent_score(URL, seed=0)
    assert result.model_version == "3.0"
    assert len(result.request_id) == 36
    assert app.statistics().billed == 1


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("name", ["officer.jpg", "astronaut.png", "officer.bmp"])
def test_a_real_photo_is_scored(name: str, as_bytes: bool) -> None:
    """A photo gives the same score from its path and from its bytes, for each format."""
    path = PHOTOS / name
    source = path.read_bytes() if as_bytes else path
    result, _ = with_client(lambda client: client.score(source))
    again, _ = with_client(lambda client: client.score(str(path)))
    assert result.score == again.score


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("refused-empty.jpg", "empty"),
        ("refused-gif.gif", "format"),
        ("refused-too-many-pixels.png", "long_side"),
    ],
)
def test_a_photo_over_a_limit_costs_no_call(name: str, rule: str) -> None:
    """A photo that breaks a limit is refused with the rule and the file's name, before any call."""

    async def use(client: LivenessClient) -> PhotoRejectedError:
        with pytest.raises(PhotoRejectedError, match=name) as caught:
            await client.score(PHOTOS / name)
        return caught.value

    error, app = with_client(use)
    assert (error.rule, error.is_billed, app.statistics().calls) == (rule, False, 0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "missing.jpg", "No such file"),
        (lambda folder: folder, "not a regular file"),
        (lambda folder: f"{folder}/nul\0.jpg", "null"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, make: Callable[[Path], str | Path], reason: str
) -> None:
    """A missing file, a folder and an impossible name are one error that names the reason."""

    async def use(client: LivenessClient) -> None:
        with pytest.raises(PhotoUnreadableError, match=reason):
            await client.score(make(tmp_path))

    with_client(use)


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    """A file over the limit is refused by its size alone."""
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    async def use(client: LivenessClient) -> None:
        with pytest.raises(PhotoRejectedError, match="in Base64"):
            await client.score(path)

    with_client(use)


def test_a_photo_without_a_face_is_billed() -> None:
    """The service's refusal is an error with its code, request id and bill."""
    rule = FaultRule(fault="code", code="InvalidParameterValue.NoFaceInPhoto", calls=(1,))

    async def use(client: LivenessClient) -> NoFaceError:
        with pytest.raises(NoFaceError) as caught:
            await client.score(URL)
        return caught.value

    error, _ = with_client(use, faults=(rule,))
    assert (error.code, error.is_billed, len(error.request_id)) == (rule.code, True, 36)


def test_the_billed_codes_can_be_set() -> None:
    """Which error codes count as billed is a setting."""
    rule = FaultRule(fault="code", code="FailedOperation.FaceSizeTooSmall", calls=(1,))

    async def use(client: LivenessClient) -> int:
        async with client.score_many([URL]) as outcomes:
            assert [outcome.is_billed async for outcome in outcomes] == [True]
        return client.statistics().billed

    assert with_client(use, faults=(rule,), billed_codes={rule.code})[0] == 1


def test_a_wrong_clock_is_set_by_the_service() -> None:
    """A clock that is off is corrected from the refusal's Date, and stays so."""

    async def use(client: LivenessClient) -> int:
        for _ in range(5):
            await client.score(URL)
        return client.statistics().attempts

    attempts, app = with_client(use, sandbox={"wall_clock": lambda: time.time() - 86_400})
    assert attempts == 6
    assert app.statistics().codes == {"AuthFailure.SignatureExpire": 1, "OK": 5}


def test_a_wrong_key_is_an_error_at_once() -> None:
    """A wrong key is not tried again and keeps the service's code."""

    async def use(client: LivenessClient) -> None:
        with pytest.raises(AuthenticationError, match=r"AuthFailure\.SignatureFailure"):
            await client.score(URL)

    _, app = with_client(use, credentials=Credential(SANDBOX_SECRET_ID, "wrong"))
    assert app.statistics().calls == 1


def test_a_token_is_sent() -> None:
    """A temporary key's token goes with every call."""
    key = Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY, "token")
    result, _ = with_client(lambda client: client.score(URL), credentials=key, sandbox={"token": "token"})
    assert result.score >= 0


def test_the_payload_may_go_unsigned() -> None:
    """With unsigned_payload=True the service's signature check still passes."""
    result, _ = with_client(lambda client: client.score(URL), unsigned_payload=True)
    assert result.score >= 0


def test_the_model_version_is_sent() -> None:
    """A model version the service does not know is its refusal, not ours."""

    async def use(client: LivenessClient) -> None:
        assert (await client.with_options(model_version="3.0").score(URL)).model_version == "3.0"
        with pytest.raises(AccountError, match="FaceModelVersionIllegal"):
            await client.with_options(model_version="9.9").score(URL)

    with_client(use)


def test_messages_come_in_the_chosen_language() -> None:
    """The language of the service's messages can be set for a client and for a part of its calls."""
    rule = FaultRule(fault="code", code="FailedOperation.FaceSizeTooSmall", rate=1)

    async def use(client: LivenessClient) -> list[bool]:
        found = []
        for chosen in (client, client.with_options(language="zh-CN")):
            async with chosen.score_many([URL]) as outcomes:
                found += [str(each.error).isascii() async for each in outcomes if isinstance(each, Failed)]
        return found

    assert with_client(use, faults=(rule,))[0] == [True, False]


def test_thresholds_follow_the_call_then_the_client() -> None:
    """`is_live()` uses the call's threshold, else the client's, else 40."""

    async def use(client: LivenessClient) -> tuple[float, float, float]:
        strict = client.with_options(threshold=90)
        first, second = await client.score(URL), await strict.score(URL)
        return first.threshold, second.threshold, (await strict.score(URL, threshold=5)).threshold

    assert with_client(use)[0] == (40, 90, 5)


def test_options_share_pace_slots_and_statistics() -> None:
    """A client with other options sends at the same pace, over the same slots."""

    async def use(client: LivenessClient) -> float:
        other = client.with_options(threshold=90)
        urls = [f"{URL}?{number}" for number in range(50)]
        await asyncio.gather(*(each.score(url) for each in (client, other) for url in urls))
        assert client.statistics() == other.statistics()
        assert client.statistics().scored == 100
        return asyncio.get_running_loop().time()

    assert with_client(use, rate=10)[0] >= 9.7


def test_a_low_rate_fails_no_photo() -> None:
    """At a rate far below the concurrency every photo still gets its turn before its deadline."""

    async def use(client: LivenessClient) -> list[Outcome]:
        async with client.score_many(f"{URL}?{number}" for number in range(300)) as outcomes:
            return [outcome async for outcome in outcomes]

    outcomes, _ = with_client(use, rate=1)
    assert all(isinstance(outcome, Scored) for outcome in outcomes)


def test_many_photos_are_scored_in_order_if_asked() -> None:
    """score_many keeps the input order with ordered=True and carries the caller's ids."""

    async def use(client: LivenessClient) -> list[str | None]:
        photos = (Photo(url=f"{URL}?{number}", id=str(number)) for number in range(200))
        async with client.score_many(photos, ordered=True) as outcomes:
            return [outcome.photo.id async for outcome in outcomes if isinstance(outcome, Scored)]

    found, _ = with_client(use, rate=1000, sandbox={"latency": Latency.uniform(0.01, 3)})
    assert found == [str(number) for number in range(200)]


def test_arrears_end_a_run_with_what_was_finished() -> None:
    """When the account goes into arrears, the run ends with one error that carries every paid score."""

    async def use(client: LivenessClient) -> int:
        scored = 0
        with pytest.raises(RunStoppedError, match="InArrears") as caught:
            async with client.score_many(f"{URL}?{number}" for number in range(10_000)) as outcomes:
                async for _ in outcomes:
                    scored += 1
        return scored + len(caught.value.finished)

    scored, app = with_client(use, faults=(FaultRule(fault="arrears", after=100),), rate=1000)
    assert scored == app.statistics().billed == 100


def test_the_deadline_bounds_a_dripping_answer() -> None:
    """A service that drips a byte a second does not hold a call past its deadline."""

    async def use(client: LivenessClient) -> float:
        with pytest.raises(DeadlineExceededError):
            await client.score(URL, deadline=5)
        return asyncio.get_running_loop().time()

    rule = FaultRule(fault="drip", bytes_per_second=1, rate=1)
    assert with_client(use, faults=(rule,))[0] == pytest.approx(5)


def test_a_client_is_used_inside_its_block() -> None:
    """Before and after its block a client refuses calls with what to do; closing twice is fine."""

    async def scenario() -> None:
        client = make_client(App(SandboxSettings(faces=False)))
        with pytest.raises(ClientClosedError, match="async with"):
            await client.score(URL)
        async with client:
            pass
        await client.aclose()
        with pytest.raises(ClientClosedError):
            client.score_many([URL])
        with pytest.raises(ClientClosedError, match="make another"):
            await client.__aenter__()

    run_virtual(scenario())


def test_a_given_transport_stays_open() -> None:
    """Whoever made a transport closes it."""
    closed: list[bool] = []

    class Watched(SandboxTransport):
        async def aclose(self) -> None:
            closed.append(True)

    async def scenario() -> None:
        transport: httpx.AsyncBaseTransport = Watched(App(SandboxSettings(faces=False)))
        async with LivenessClient(credentials=KEY, endpoint="http://sandbox.test", transport=transport):
            pass

    run_virtual(scenario())
    assert closed == []


def test_missing_credentials_are_found_on_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the client does not open, and says which variables to set."""
    monkeypatch.delenv("TENCENTCLOUD_SECRET_ID", raising=False)
    monkeypatch.delenv("TENCENTCLOUD_SECRET_KEY", raising=False)

    async def scenario() -> None:
        with pytest.raises(MissingCredentialsError, match="TENCENTCLOUD_SECRET_ID"):
            await LivenessClient().__aenter__()

    run_virtual(scenario())


def test_the_environments_credentials_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from the environment if none is given."""
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", SANDBOX_SECRET_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", SANDBOX_SECRET_KEY)
    result, _ = with_client(lambda client: client.score(URL), credentials=None)
    assert result.score >= 0


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"rate": 0}, "rate"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"deadline": -1}, "deadline"),
        ({"threshold": 101}, "threshold"),
        ({"endpoint": "ftp://x"}, "endpoint"),
        ({"rate": math.inf}, "rate"),
        ({"rate": "45"}, "rate"),
        ({"language": "de"}, "language"),
        ({"region": "a b"}, "region"),
        ({"proxy": "nonsense"}, "proxy"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], name: str) -> None:
    """A setting that makes no sense is one error that names it."""
    with pytest.raises(ConfigurationError, match=name):
        LivenessClient(credentials=KEY, **settings)


@pytest.mark.parametrize("photos", ["selfie.jpg", b"bytes", Path("selfie.jpg"), Photo(url=URL)])
def test_score_many_takes_many(photos: Any) -> None:
    """One photo where many are expected is named, and not read letter by letter."""

    async def use(client: LivenessClient) -> None:
        with pytest.raises(TypeError, match="use score"):
            client.score_many(photos)

    with_client(use)


def test_an_item_that_is_no_photo_is_named_by_its_place() -> None:
    """An item of a wrong type ends the run with its place in the source."""

    async def use(client: LivenessClient) -> None:
        photos: Any = [URL, URL, 3]
        with pytest.raises(TypeError, match="item 2 of the photos"):
            async with client.score_many(photos) as outcomes:
                async for _ in outcomes:
                    pass

    with_client(use)


def test_a_photo_in_base64_is_not_shown() -> None:
    """A photo that is passed as Base64 text, not bytes, is an error that says so and does not show it."""
    text = base64.b64encode((PHOTOS / "officer.jpg").read_bytes()).decode()

    async def use(client: LivenessClient) -> str:
        with pytest.raises(PhotoUnreadableError, match="Decode it") as caught:
            await client.score(text)
        return str(caught.value)

    assert len(with_client(use)[0]) < 300


def test_what_is_wrong_with_a_photo_is_one_class() -> None:
    """`except PhotoError` means that this photo is at fault, before sending or by the service's word."""
    rule = FaultRule(fault="code", code="FailedOperation.FaceSizeTooSmall", rate=1)

    async def use(client: LivenessClient) -> None:
        for photo in (b"GIF89a", "/missing.jpg", URL):
            with pytest.raises(PhotoError):
                await client.score(photo)

    with_client(use, faults=(rule,))


def test_the_endpoint_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """TENCENT_LIVENESS_ENDPOINT is used if no endpoint is given."""
    monkeypatch.setenv("TENCENT_LIVENESS_ENDPOINT", "http://127.0.0.1:8000")
    assert "http://127.0.0.1:8000/" in repr(LivenessClient(credentials=KEY))
    assert "example.test" in repr(LivenessClient(credentials=KEY, endpoint="example.test"))


def test_a_client_with_other_options_leaves_the_first_open() -> None:
    """Only the client that was opened closes what both share."""

    async def use(client: LivenessClient) -> None:
        async with client.with_options(threshold=70) as strict:
            assert (await strict.score(URL)).threshold == 70
        assert (await client.score(URL)).threshold == 40

    with_client(use)


def test_large_photos_are_hashed_off_the_loop() -> None:
    """A photo over 64 KiB is checked and hashed in a thread, a small one in the loop."""

    def has_worker() -> bool:
        return any("AnyIO worker" in thread.name for thread in threading.enumerate())

    small = io.BytesIO()
    Image.new("RGB", (100, 100)).save(small, "JPEG")

    async def use(client: LivenessClient) -> list[bool]:
        photo, found = small.getvalue(), list[bool]()
        for size in (65_536, 65_537):
            await client.score(photo.ljust(size, b"\0"))
            found.append(has_worker())
        return found

    assert with_client(use)[0] == [False, True]


def test_the_repr_shows_the_levels() -> None:
    """A client's repr has its endpoint, its state, its pace and what is under way."""

    async def use(client: LivenessClient) -> str:
        return repr(client)

    expected = "<LivenessClient http://sandbox.test/ open: 45 calls/s, 0 in flight, 0 waiting>"
    assert with_client(use)[0] == expected
