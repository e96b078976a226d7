"""The event loop a client belongs to."""

from __future__ import annotations

import asyncio
import threading

from .._errors import WrongLoopError


class LoopHome:
    """Remembers the event loop and the thread in which a client was opened."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.current_thread().name

    def check(self) -> None:
        """Refuse any other loop: its tasks could not wait for what happens in this one.

        Raises:
            WrongLoopError: Another loop is running here.
        """
        running = asyncio.get_running_loop()
        if running is not self._loop:
            raise WrongLoopError(
                f"the client was opened in {self._describe(self._loop, self._thread)} and is used in "
                f"{self._describe(running, threading.current_thread().name)}; open a client in each loop, or "
                "hand the call over with asyncio.run_coroutine_threadsafe"
            )

    def check_unless_gone(self) -> None:
        """The same, for closing, which is fine anywhere once the loop is closed."""
        if not self._loop.is_closed():
            self.check()

    @staticmethod
    def _describe(loop: asyncio.AbstractEventLoop, thread: str) -> str:
        return f"the event loop {id(loop):#x} of thread {thread!r}"
