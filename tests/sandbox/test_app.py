from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from virtual_time import run_virtual

pytest.importorskip("PIL")

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async.sandbox import (
    FaultRule,
    FaultScript,
    Latency,
    SandboxApp,
    SandboxSettings,
    SandboxTransport,
    invent_score,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tencent_liveness_async.sandbox._exchange import RequestEvent

    Ask = Callable[..., Awaitable[dict[str, Any]]]
    Draw = Callable[..., bytes]
    MakePayload = Callable[[bytes], dict[str, str]]

URL = "http://photos.test/1.jpg"
WITHOUT_FACES = SandboxSettings(faces=False)


def _make_app(*rules: FaultRule, **settings: Any) -> SandboxApp:
    return SandboxApp(SandboxSettings(faces=False, faults=FaultScript(0, rules), **settings))


async def test_url_is_scored_by_its_text(ask: Ask) -> None:
    """Without downloads a URL's score follows from its text."""
    answer = await ask(_make_app(seed=3), {"Url": URL})
    assert answer["Score"] == invent_score(URL, seed=3)


async def test_picture_is_scored_by_its_bytes(
    ask: Ask, draw_picture: Draw, make_payload: MakePayload
) -> None:
    """A picture's score follows from the SHA-256 of its bytes."""
    picture = draw_picture()
    answer = await ask(_make_app(), make_payload(picture))
    assert answer["Score"] == invent_score(sha256(picture).hexdigest(), seed=0)


async def test_table_gives_scores(ask: Ask, draw_picture: Draw, make_payload: MakePayload) -> None:
    """A test decides scores by URL or by content."""
    picture = draw_picture()
    app = _make_app(scores={URL: 100, sha256(picture).hexdigest(): 0.5})
    assert (await ask(app, {"Url": URL}))["Score"] == 100
    assert (await ask(app, make_payload(picture)))["Score"] == 0.5


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"no JSON", "InvalidRequest"),
        ({"Url": "photo"}, "InvalidParameterValue.UrlIllegal"),
        ({"Image": "no base64!"}, "FailedOperation.ImageDecodeFailed"),
        ({"Image": "QUJD"}, "FailedOperation.ImageDecodeFailed"),
        ({"Image": "A" * (5 * 1024 * 1024 + 4)}, "FailedOperation.ImageSizeExceed"),
        (b"x" * (10 * 1024 * 1024 + 1), "RequestSizeLimitExceeded"),
    ],
)
async def test_photo_errors_have_their_codes(ask: Ask, payload: object, code: str) -> None:
    """What is wrong with a photo or a body is answered with HTTP 200 and a code, and not billed."""
    app = _make_app()
    assert (await ask(app, payload))["Error"]["Code"] == code
    assert (app.statistics().codes, app.statistics().billed) == ({code: 1}, 0)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_taken(method: str) -> None:
    """Another method is answered in the API's envelope."""
    async with httpx.AsyncClient(transport=SandboxTransport(_make_app())) as client:
        response = await client.request(method, "http://sandbox.test/")
    assert response.json()["Response"]["Error"]["Code"] == "UnsupportedProtocol"


async def test_signature_is_checked_before_anything_else(ask: Ask) -> None:
    """A call with a wrong key learns nothing, and uses no quota."""
    app = _make_app(quota=1)
    wrong = await ask(app, b"no JSON", secret_key="wrong", x_tc_action="Other")
    assert wrong["Error"]["Code"] == "AuthFailure.SignatureFailure"
    assert "Score" in await ask(app)


async def test_language_of_messages_is_the_callers(ask: Ask) -> None:
    """`X-TC-Language: zh-CN` gives Chinese messages, anything else English ones."""
    app = _make_app()
    chinese = await ask(app, {}, x_tc_language="zh-CN")
    english = await ask(app, {})
    assert chinese["Error"]["Message"] == "图片和 URL 都没有给。"
    assert english["Error"]["Message"].isascii()


async def test_answer_has_the_services_headers() -> None:
    """An answer is JSON, has a date, and says that it judges nothing."""
    app = _make_app(wall_clock=lambda: 1_700_000_000)
    async with httpx.AsyncClient(transport=SandboxTransport(app)) as client:
        responses = [await client.post("http://sandbox.test/") for _ in range(2)]
    for response in responses:
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-sandbox"] == "judges nothing"
        assert parsedate_to_datetime(response.headers["date"]).timestamp() == 1_700_000_000


def test_quota_counts_in_whole_seconds(ask: Ask) -> None:
    """Over the quota calls are throttled until the next second, with the counts in the message."""

    async def call() -> tuple[list[bool], str, SandboxApp]:
        app = _make_app(quota=3)
        first = [await ask(app) for _ in range(5)]
        await asyncio.sleep(1)
        answers = [*first, *[await ask(app) for _ in range(2)]]
        return ["Score" in answer for answer in answers], first[4]["Error"]["Message"], app

    are_scored, message, app = run_virtual(call())
    assert are_scored == [True, True, True, False, False, True, True]
    assert "`5` in a second, which exceeds the frequency limit `3`" in message
    statistics = app.statistics()
    assert (statistics.throttled, statistics.busiest_second, statistics.billed) == (2, 5, 5)


def test_quota_may_have_a_clock_of_its_own(ask: Ask) -> None:
    """A given clock moves the quota's windows."""
    seconds = iter(range(100))

    async def call() -> list[bool]:
        app = _make_app(quota=1, clock=lambda: next(seconds))
        return ["Score" in await ask(app) for _ in range(3)]

    assert run_virtual(call()) == [True, True, True]


async def test_quota_may_be_off(ask: Ask) -> None:
    """Without a quota nothing is throttled."""
    app = _make_app(quota=None)
    assert all([("Score" in await ask(app)) for _ in range(60)])


def test_quota_changes_while_it_runs(ask: Ask) -> None:
    """A new quota is in force from the next call on; what its window has seen stays counted."""

    async def call() -> tuple[list[int], list[str]]:
        app, scored, messages = _make_app(quota=5), [], []
        for limit in (5, 2, 5, None, 1):
            app.set_quota(limit)
            answers = [await ask(app) for _ in range(7)]
            scored.append(sum("Score" in answer for answer in answers))
            await asyncio.sleep(1)
        for limit in (3, 8):
            app.set_quota(limit)
            answers = [await ask(app) for _ in range(5)]
            scored.append(sum("Score" in answer for answer in answers))
            messages.append(answers[-1]["Error"]["Message"])
        return scored, messages

    scored, messages = run_virtual(call())
    assert scored == [5, 2, 5, 7, 1, 3, 3]
    assert "`5` in a second, which exceeds the frequency limit `3`" in messages[0]
    assert "`10` in a second, which exceeds the frequency limit `8`" in messages[1]


async def test_calls_without_a_quota_count_for_the_next_one(ask: Ask) -> None:
    """A quota that is set in the middle of a window finds the calls that came before it."""
    app = _make_app(quota=None, clock=lambda: 7.5)
    assert all([("Score" in await ask(app)) for _ in range(3)])
    app.set_quota(3)
    assert "`4` in a second" in (await ask(app))["Error"]["Message"]


def test_impossible_quota_is_refused() -> None:
    """A quota that takes no call is an error, and the one before stays."""
    app = _make_app(quota=5)
    with pytest.raises(ConfigurationError, match="quota must be at least 1, or None, not 0"):
        app.set_quota(0)
    assert app.quota == 5


async def test_reset_forgets_calls_and_keeps_the_quota(ask: Ask) -> None:
    """A reset empties the window, and leaves the quota as it was last set."""
    app = _make_app(clock=lambda: 7.5)
    app.set_quota(1)
    assert ["Score" in await ask(app) for _ in range(2)] == [True, False]
    app.reset()
    assert ["Score" in await ask(app) for _ in range(2)] == [True, False]
    assert app.quota == 1


async def test_scripted_throttle_names_the_quota_in_force(ask: Ask) -> None:
    """The message of a scripted throttle has the quota that was last set."""
    app = _make_app(FaultRule(fault="code", code="RequestLimitExceeded", rate=1))
    app.set_quota(20)
    assert "equals to `21` in a second" in (await ask(app))["Error"]["Message"]


@pytest.mark.parametrize(
    ("settings", "are_scored"),
    [
        ({}, [True, True, True, True]),
        ({"quota_offset": 0.5}, [True, True, False, False]),
        ({"quota_window": "sliding"}, [True, True, False, False]),
    ],
    ids=["fixed", "offset", "sliding"],
)
def test_quota_counts_in_the_windows_it_is_set_to(
    ask: Ask, settings: dict[str, Any], are_scored: list[bool]
) -> None:
    """Two bursts around a whole second are two windows only where windows begin at whole seconds."""

    async def call() -> list[bool]:
        app, answers = _make_app(quota=2, **settings), []
        for seconds in (0.9, 0.3):
            await asyncio.sleep(seconds)
            answers += [await ask(app) for _ in range(2)]
        return ["Score" in answer for answer in answers]

    assert run_virtual(call()) == are_scored


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_other_calls_use_up_the_quota_and_are_not_ours(ask: Ask, kind: str) -> None:
    """Calls of another process are in the window and in the message, and in no statistics."""

    async def call() -> tuple[list[dict[str, Any]], SandboxApp]:
        app = _make_app(quota=10, quota_window=kind, other_calls=8.0)
        await asyncio.sleep(7.99)
        return [await ask(app) for _ in range(4)], app

    answers, app = run_virtual(call())
    assert ["Score" in answer for answer in answers] == [True, True, False, False]
    assert "`12` in a second, which exceeds the frequency limit `10`" in answers[3]["Error"]["Message"]
    statistics = app.statistics()
    assert (statistics.calls, statistics.throttled, statistics.busiest_second) == (4, 2, 4)
    assert statistics.codes == {"OK": 2, "RequestLimitExceeded": 2}


def test_work_takes_its_latency(ask: Ask) -> None:
    """Work takes the settings' time, in the loop's own clock; refusals before it take none."""

    async def call() -> list[float]:
        app = _make_app(
            FaultRule(fault="code", code="InternalError", calls=(3,)), latency=Latency.constant(2)
        )
        loop, times = asyncio.get_running_loop(), []
        for changes in ({}, {"secret_key": "wrong"}, {}):
            before = loop.time()
            await ask(app, **changes)
            times.append(loop.time() - before)
        return times

    assert run_virtual(call()) == [2, 0, 2]


def test_latencies_follow_from_the_seed(ask: Ask) -> None:
    """The same seed gives the same latencies, another one others."""

    async def call(seed: int) -> float:
        app = _make_app(latency=Latency.uniform(0, 1), seed=seed)
        for _ in range(3):
            await ask(app)
        return asyncio.get_running_loop().time()

    assert run_virtual(call(1)) == run_virtual(call(1)) != run_virtual(call(2))


@pytest.mark.parametrize(
    ("rule", "code", "text"),
    [
        (FaultRule(fault="code", code="InternalError", rate=1), "InternalError", "failed inside"),
        (FaultRule(fault="code", code="New.Code", message="oh", rate=1), "New.Code", "oh"),
        (FaultRule(fault="arrears", after=0), "ResourceUnavailable.InArrears", "arrears"),
        (
            FaultRule(fault="code", code="RequestLimitExceeded", rate=1),
            "RequestLimitExceeded",
            "equals to `51` in a second, which exceeds the frequency limit `50`",
        ),
    ],
)
async def test_code_faults_stand_in_for_the_work(ask: Ask, rule: FaultRule, code: str, text: str) -> None:
    """A scripted code is answered as the API would answer it, and counted."""
    app = _make_app(rule)
    answer = await ask(app, b"no JSON")
    assert answer["Error"]["Code"] == code
    assert text in answer["Error"]["Message"]
    statistics = app.statistics()
    assert (statistics.codes, statistics.faults) == ({code: 1}, {rule.fault: 1})


async def test_refusal_before_the_work_hides_a_code_fault(ask: Ask) -> None:
    """A call that is not let in has its own code, and no fault took effect."""
    app = _make_app(FaultRule(fault="arrears", after=0))
    answer = await ask(app, secret_key="wrong")
    assert answer["Error"]["Code"] == "AuthFailure.SignatureFailure"
    assert app.statistics().faults == {}


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (FaultRule(fault="status", rate=1), 502),
        (FaultRule(fault="status", status=504, rate=1), 504),
        (FaultRule(fault="html", rate=1), 200),
    ],
)
async def test_gateway_faults_do_no_work(rule: FaultRule, status: int) -> None:
    """A gateway's page is HTML; the call behind it was not done."""
    app = _make_app(rule)
    async with httpx.AsyncClient(transport=SandboxTransport(app)) as client:
        response = await client.post("http://sandbox.test/")
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html")
    assert response.text.startswith("<html>")
    statistics = app.statistics()
    assert (statistics.calls, statistics.billed, statistics.codes) == (1, 0, {})
    assert statistics.faults == {rule.fault: 1}


async def test_new_script_and_reset_count_from_one(ask: Ask) -> None:
    """Call numbers begin again with a script, and with a reset."""
    app = _make_app()
    rule = FaultRule(fault="code", code="InternalError", calls=(1,))
    await ask(app)
    app.set_faults(FaultScript(rules=(rule,)))
    assert ["Error" in await ask(app) for _ in range(2)] == [True, False]
    app.reset()
    assert "Error" in await ask(app)
    assert (app.statistics().calls, app.faults.rules) == (1, (rule,))


async def test_concurrent_calls_have_the_same_faults(ask: Ask) -> None:
    """How many calls are under way does not change which of them go wrong, nor how many."""
    rule = FaultRule(fault="code", code="InternalError", rate=0.3)
    one, many = _make_app(rule, quota=None), _make_app(rule, quota=None)
    for _ in range(40):
        await ask(one)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(40):
            tasks.create_task(ask(many))  # type: ignore[arg-type]
    assert one.statistics().codes == many.statistics().codes


class _Wire:
    """An ASGI server's side of one exchange, without extensions."""

    def __init__(self, headers: dict[str, str], *events: RequestEvent) -> None:
        self.events = list(events)
        self.sent: list[MutableMapping[str, object]] = []
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def receive(self) -> RequestEvent:
        return self.events.pop(0) if self.events else {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, object]) -> None:
        self.sent.append(message)

    async def run(self, app: SandboxApp) -> None:
        await app(
            {"type": "http", "method": "POST", "path": "/", "headers": self.headers}, self.receive, self.send
        )


BODY = json.dumps({"Url": URL}).encode()
WHOLE: RequestEvent = {"type": "http.request", "body": BODY, "more_body": False}


async def test_upload_that_is_given_up_is_only_a_call(sign: Callable[..., dict[str, str]]) -> None:
    """A peer that leaves during its upload gets no answer, and nothing is billed."""
    app = _make_app()
    wire = _Wire(sign(BODY), {"type": "http.request", "body": BODY[:5], "more_body": True})
    await wire.run(app)
    statistics = app.statistics()
    assert (wire.sent, statistics.calls, statistics.billed, statistics.codes) == ([], 1, 0, {})


async def test_peer_that_left_during_the_work_is_unanswered(sign: Callable[..., dict[str, str]]) -> None:
    """The service does not notice a peer that has gone: the call is done and billed."""
    app = _make_app(latency=Latency.constant(60))
    wire = _Wire(sign(BODY), WHOLE, {"type": "http.request", "body": b""})
    await wire.run(app)
    statistics = app.statistics()
    assert (wire.sent, statistics.billed, statistics.billed_unanswered) == ([], 1, 1)


async def test_refusal_that_nobody_hears_is_not_billed(sign: Callable[..., dict[str, str]]) -> None:
    """Only billed calls are counted as billed and unanswered."""
    app = _make_app(FaultRule(fault="stall", seconds=60, rate=1))
    wire = _Wire(sign(BODY, secret_key="wrong"), WHOLE)
    await wire.run(app)
    statistics = app.statistics()
    assert (wire.sent, statistics.billed, statistics.billed_unanswered) == ([], 0, 0)


@pytest.mark.parametrize(("rule", "messages"), [("answer", 0), ("body", 2)])
async def test_other_servers_see_an_application_that_stops(
    sign: Callable[..., dict[str, str]], rule: Any, messages: int
) -> None:
    """Without the extension a reset ends the application where it is."""
    app = _make_app(FaultRule(fault="reset", at=rule, rate=1))
    wire = _Wire(sign(BODY), WHOLE)
    await wire.run(app)
    assert len(wire.sent) == messages
    assert app.statistics().billed_unanswered == 1


async def test_lifespan_is_served() -> None:
    """The application runs under servers that start and stop applications."""
    sent: list[object] = []
    events: list[RequestEvent] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> RequestEvent:
        return events.pop(0)

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message["type"])

    await _make_app()({"type": "lifespan", "method": "", "path": "", "headers": ()}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
