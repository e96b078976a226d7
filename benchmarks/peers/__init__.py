"""The peers: what else could make the same calls, each in the way its documentation shows.

A peer is opened for a target and a number of photos in flight, and then run over loads.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.load import Load
    from benchmarks.stub import Target

    Run: TypeAlias = Callable[[Load], Awaitable[None]]
    Peer: TypeAlias = Callable[[Target, int], AbstractAsyncContextManager[Run]]

OURS = "ours"
OURS_FAST = "ours, fast"
OFFICIAL = "official SDK, async"
RAW = "raw asyncio"

_HOMES = {
    OURS: ("ours", "open_default"),
    OURS_FAST: ("ours", "open_fast"),
    OFFICIAL: ("official", "open_async"),
    "official SDK, threads": ("official", "open_threads"),
    "httpx": ("by_hand_httpx", "open_httpx"),
    "aiohttp": ("by_hand_aiohttp", "open_aiohttp"),
    "pyreqwest": ("by_hand_pyreqwest", "open_pyreqwest"),
    RAW: ("by_hand_raw", "open_raw"),
}
PEERS = tuple(_HOMES)


def find_peer(name: str) -> Peer:
    """Return a peer by its name, and import no other."""
    module, function = _HOMES[name]
    peer: Peer = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return peer
