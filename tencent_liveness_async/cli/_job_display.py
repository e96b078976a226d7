"""Shows how a job goes: a live line, a line now and then, or JSON events. All of it is on stderr."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from ._context import fit_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._context import Context
    from ._job_standing import JobStanding, JobWatch
    from ._options import DisplayOptions

LINE_INTERVAL = 10.0
"""Seconds between the lines where there is no terminal."""
EVENT_INTERVAL = 1.0
"""Seconds between JSON events."""
LIVE_INTERVAL = 0.25
"""Seconds between updates of the live line."""


class JobDisplay:
    """Says on stderr what there is to say of a job, in the way that was asked for.

    Args:
        context: Gives stderr.
        options: How to say it.
        interval: Seconds between two looks; by default what suits the way.
    """

    def __init__(self, context: Context, options: DisplayOptions, *, interval: float | None = None) -> None:
        self._context = context
        self._options = options
        self._live: Live | None = None
        is_terminal = context.is_stderr_terminal and context.environment.get("TERM") != "dumb"
        self._is_live = is_terminal and not options.json_events
        if options.json_events:
            self._interval = EVENT_INTERVAL
        else:
            self._interval = LIVE_INTERVAL if self._is_live else LINE_INTERVAL
        if interval is not None:
            self._interval = interval

    def say(self, message: str) -> None:
        """Say something that the person has to know."""
        if self._options.json_events:
            self.tell("message", {"message": message})
        elif self._live is not None:
            self._live.console.print(f"tencent-liveness: {message}", soft_wrap=True)
        else:
            self._context.say(message)

    def note(self, message: str) -> None:
        """Say something that is good to know; a quiet run does not."""
        if not self._options.quiet:
            self.say(message)

    def tell(self, event: str, values: dict[str, object]) -> None:
        """Write a JSON event, if events are asked for."""
        if not self._options.json_events:
            return
        line = json.dumps({"event": event, "time": round(time.time(), 3), **values})
        with suppress(OSError):  # nobody reads
            self._context.stderr.write(fit_encoding(line, self._context.stderr) + "\n")
            self._context.stderr.flush()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the live line, if there is to be one."""
        with ExitStack() as stack:
            if self._is_live and not self._options.quiet:
                self._live = stack.enter_context(
                    Live(
                        console=self._context.open_stderr(),
                        auto_refresh=False,
                        transient=True,
                        redirect_stdout=False,
                        redirect_stderr=False,
                    )
                )
                stack.callback(self._forget)
            yield

    async def follow(self, watch: JobWatch) -> None:
        """Look at a job and show it, again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            self._show(watch.look())

    def _show(self, standing: JobStanding) -> None:
        if self._options.json_events:
            self.tell("progress", standing.to_event())
        elif self._live is not None:
            self._live.update(Text(standing.describe(), overflow="fold"), refresh=True)
        elif not self._options.quiet:
            self._context.say(standing.describe())

    def _forget(self) -> None:
        self._live = None
