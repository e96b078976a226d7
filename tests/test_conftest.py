from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockingError

if TYPE_CHECKING:
    from pathlib import Path


async def test_blocking_call_in_the_loop_is_found() -> None:
    """A call that blocks the event loop raises, and so fails its test."""
    with pytest.raises(BlockingError):
        time.sleep(0)  # noqa: ASYNC251 - the point of the test


async def test_file_read_in_the_loop_is_found(tmp_path: Path) -> None:
    """Reading a file in the event loop raises."""
    path = tmp_path / "photo"
    await asyncio.to_thread(path.write_bytes, b"bytes")
    with pytest.raises(BlockingError):
        path.read_bytes()


async def test_blocking_call_in_a_thread_is_allowed(tmp_path: Path) -> None:
    """A thread without a loop may block."""
    path = tmp_path / "photo"
    await asyncio.to_thread(path.write_bytes, b"bytes")
    assert await asyncio.to_thread(path.read_bytes) == b"bytes"


@pytest.mark.usefixtures("allow_blocking")
async def test_blocking_can_be_allowed() -> None:
    """A test about blocking may block."""
    time.sleep(0)  # noqa: ASYNC251 - the point of the test
