"""What holds for every test: asyncio only, no blocking call in an event loop, no deadline by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

import tencent_liveness_async

if TYPE_CHECKING:
    from collections.abc import Iterator

# Examples run as slowly as coverage and a busy machine make them. On CI hypothesis is also deterministic.
settings.register_profile("suite", settings(deadline=None))
settings.load_profile("suite")


def pytest_report_header() -> str:
    """Say which package is tested: the tree or an installed wheel."""
    return f"package: {Path(tencent_liveness_async.__file__).parent}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run every coroutine test on asyncio, the only loop the package supports."""
    return "asyncio"


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail every test in which an event loop is blocked, the loop of a server's thread included.

    The calls that pytest, coverage and asyncio itself need are allowed by blockbuster; one more is allowed
    with `guard.functions[...].can_block_in(...)` and its reason.
    """
    guard = BlockBuster()
    # Coverage's tracer shares its data between the threads of the test and of the server.
    guard.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
    guard.activate()
    yield guard
    guard.deactivate()


@pytest.fixture
def allow_blocking(blockbuster: BlockBuster) -> None:
    """Let one test block its loop, because blocking it is what the test is about."""
    blockbuster.deactivate()
