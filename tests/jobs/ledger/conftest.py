"""A ledger on a real file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs.ledger import Ledger, Parameters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "photos 100% #1?.ledger"


@pytest.fixture
def parameters() -> Parameters:
    """What the ledger is made with."""
    return Parameters("3.0", "iai.tencentcloudapi.com")


@pytest.fixture
async def ledger(path: Path, parameters: Parameters) -> AsyncIterator[Ledger]:
    """An open ledger, new and empty."""
    async with await Ledger.open(path, parameters) as ledger:
        yield ledger
