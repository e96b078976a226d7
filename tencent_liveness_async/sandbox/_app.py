"""The sandbox as an ASGI application."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

from ._answers import (
    Answer,
    RefusalError,
    Throttle,
    describe,
    make_error_answer,
    make_score_answer,
)
from ._chance import draw
from ._control import answer_control
from ._delivery import deliver, deliver_gateway_fault, deliver_with_fault
from ._exchange import Exchange, PeerGoneError, Receive, Scope, Send
from ._faults import FaultRule, FaultScript, RunningScript
from ._parameters import check_headers, parse_parameters
from ._quota import check_limit, make_window
from ._settings import SandboxSettings, loop_time
from ._signature import check_signature, is_payload_unsigned
from ._statistics import SandboxStatistics, StatisticsBook
from ._work import Work

_DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class _Ready:
    """An answer, how long its work takes (None: no wait at all), and whether a fault made it."""

    answer: Answer
    seconds: float | None
    is_faulty: bool = False


class SandboxApp:
    """Answers `POST /` as DetectLiveFaceAccurate does, under any ASGI server.

    A call goes this way: gateway faults, signature, headers, quota, `code` faults, parameters,
    photo, latency, and last the faults of the answer. It is billed when its work is done, before
    the latency passes. `reset` and `truncate` need the sandbox's own server or its in-process
    transport; elsewhere they end as an application that stops in the middle.

    `GET /_sandbox/statistics`, `POST /_sandbox/reset`, and GET and POST of `/_sandbox/faults` and
    `/_sandbox/quota` show and change it; they ask for no signature.

    Example:
        >>> SandboxApp(SandboxSettings(quota=5, faces=False)).statistics().calls
        0
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self._clock = self.settings.clock or loop_time
        self._work = Work(self.settings)
        self._script = RunningScript(self.settings.faults)
        self._quota = self.settings.quota
        self._date = (0, b"")
        self.reset()

    @property
    def faults(self) -> FaultScript:
        """The script that is running."""
        return self._script.script

    def set_faults(self, script: FaultScript) -> None:
        """Replace the script; the next call has number 1. Any thread may do so."""
        self._script = RunningScript(script)

    @property
    def quota(self) -> int | None:
        """The quota that is in force, in calls per second; None never throttles."""
        return self._quota

    def set_quota(self, limit: int | None) -> None:
        """Change the quota, from the next call on. Any thread may do so.

        Calls that its window has seen before stay counted.

        Args:
            limit: Calls per second, at least 1; None never throttles.

        Raises:
            ConfigurationError: The limit is less than 1; the one before stays in force.
        """
        check_limit(limit)
        self._quota = limit

    def statistics(self) -> SandboxStatistics:
        """Return what was counted. Any thread may ask; calls under way may be counted in part."""
        return self._book.snapshot()

    def reset(self) -> None:
        """Count from nothing again, calls for the fault script and for the quota included.

        The script and the quota stay as they were last set.
        """
        settings = self.settings
        self._book = StatisticsBook()
        self._window = make_window(
            settings.quota_window, offset=settings.quota_offset, other_calls=settings.other_calls
        )
        self._script = RunningScript(self.faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _serve_lifespan(receive, send)
            return
        exchange = Exchange(scope, receive, send)
        try:
            if exchange.path == "/":
                await self._serve_call(exchange)
            else:
                await answer_control(self, exchange, date=self._format_date())
        except PeerGoneError:
            return

    async def _serve_call(self, exchange: Exchange) -> None:
        book, number = self._book, self._script.take_number()
        book.add_call(self._clock())
        fault = self._script.script.find(number)
        if fault is not None and fault.is_gateway:
            book.add_fault(fault.fault)
            await deliver_gateway_fault(exchange, fault, date=self._format_date())
            return
        ready = await self._answer(exchange, number, fault)
        is_unanswered = book.add_answer(ready.answer.code)
        try:
            await self._deliver(exchange, book, ready, fault)
            is_unanswered = False
        finally:
            if is_unanswered:
                book.add_unanswered()

    async def _answer(self, exchange: Exchange, number: int, fault: FaultRule | None) -> _Ready:
        try:
            body = await self._admit(exchange)
        except RefusalError as refusal:
            return _Ready(_refuse(exchange, refusal), None)
        seconds = self._draw_latency(number)
        if fault is not None and fault.answer_code is not None:
            answer = self._make_fault_answer(exchange, fault.answer_code, fault.message)
            return _Ready(answer, seconds, is_faulty=True)
        try:
            parameters = parse_parameters(body)
            answer = make_score_answer(await self._work.score(parameters))
        except RefusalError as refusal:
            return _Ready(_refuse(exchange, refusal), seconds or 0.0)
        return _Ready(answer, seconds if self._work.is_quick(parameters) else seconds or 0.0)

    async def _admit(self, exchange: Exchange) -> bytes:
        """Return the body of a call that may be worked on."""
        headers = exchange.headers
        is_hashed = not is_payload_unsigned(headers)
        body, payload_sha256 = await exchange.read_body(is_hashed=is_hashed)
        if exchange.method != "POST":
            raise RefusalError("UnsupportedProtocol", exchange.method)
        check_signature(headers, payload_sha256, self.settings)
        check_headers(headers)
        self._check_quota()
        return body

    def _check_quota(self) -> None:
        # Counted without a quota too: one may be set before the window ends.
        count, limit = self._window.count_call(self._clock()), self._quota
        if limit is not None and count > limit:
            raise RefusalError("RequestLimitExceeded", throttle=Throttle(count, limit))

    def _draw_latency(self, number: int) -> float | None:
        latency = self.settings.latency
        return latency.draw(draw(self.settings.seed, f"latency:{number}")) or None

    def _make_fault_answer(self, exchange: Exchange, code: str, message: str | None) -> Answer:
        limit = self._quota or _DEFAULT_LIMIT
        throttle = Throttle(limit + 1, limit)
        text = message or describe(code, language=exchange.language, throttle=throttle)
        return make_error_answer(code, text)

    async def _deliver(
        self, exchange: Exchange, book: StatisticsBook, ready: _Ready, fault: FaultRule | None
    ) -> None:
        if fault is not None and (ready.is_faulty or fault.answer_code is None):
            book.add_fault(fault.fault)
        if ready.seconds is not None:
            await exchange.wait(ready.seconds)
        if fault is None or fault.answer_code is not None:
            await deliver(exchange, ready.answer.body, date=self._format_date())
            return
        await deliver_with_fault(exchange, ready.answer.body, fault, date=self._format_date())

    def _format_date(self) -> bytes:
        now = int(self.settings.wall_clock())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]


def _refuse(exchange: Exchange, refusal: RefusalError) -> Answer:
    message = describe(
        refusal.code, language=exchange.language, detail=refusal.detail, throttle=refusal.throttle
    )
    return make_error_answer(refusal.code, message)


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    event = await receive()
    while event["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
        event = await receive()
    await send({"type": "lifespan.shutdown.complete"})
