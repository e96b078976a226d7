from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async._errors import WrongLoopError
from tencent_liveness_async._flow import LoopHome

if TYPE_CHECKING:
    from collections.abc import Callable


async def make_home() -> LoopHome:
    """Make the home of the running loop."""
    return LoopHome()


async def call(function: Callable[[], None]) -> None:
    """Call a function inside a running loop."""
    function()


def run_in_thread(function: Callable[[], None], *, name: str) -> None:
    """Call a function in a loop of another thread and raise what it raises."""
    with ThreadPoolExecutor(1, thread_name_prefix=name) as executor:
        executor.submit(lambda: asyncio.run(call(function))).result()


def test_the_own_loop_is_fine() -> None:
    """Nothing is refused in the loop of the opening."""

    async def scenario() -> None:
        home = LoopHome()
        home.check()
        home.check_unless_gone()

    asyncio.run(scenario())


def test_another_loop_of_the_same_thread_is_refused() -> None:
    """A loop that came after is another one, and the message tells the two apart."""
    loop = asyncio.new_event_loop()
    home = loop.run_until_complete(make_home())
    with pytest.raises(WrongLoopError) as caught:
        asyncio.run(call(home.check))
    loop.close()
    assert f"{id(loop):#x}" in str(caught.value)
    assert str(caught.value).count(repr(threading.current_thread().name)) == 2


def test_a_loop_of_another_thread_is_refused() -> None:
    """The message names both threads and the way to hand a call over."""
    loop = asyncio.new_event_loop()
    home = loop.run_until_complete(make_home())
    with pytest.raises(WrongLoopError, match="run_coroutine_threadsafe") as caught:
        run_in_thread(home.check, name="elsewhere")
    loop.close()
    assert repr(threading.current_thread().name) in str(caught.value)
    assert "'elsewhere_0'" in str(caught.value)


@pytest.mark.parametrize("is_closed", [False, True])
def test_closing_elsewhere_is_fine_once_the_loop_is_closed(is_closed: bool) -> None:
    """While the loop lives, closing belongs there; afterwards anywhere."""
    loop = asyncio.new_event_loop()
    home = loop.run_until_complete(make_home())
    if is_closed:
        loop.close()
        run_in_thread(home.check_unless_gone, name="elsewhere")
        return
    with pytest.raises(WrongLoopError):
        run_in_thread(home.check_unless_gone, name="elsewhere")
    loop.close()
