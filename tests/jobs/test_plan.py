from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async import PhotoUnreadableError
from tencent_liveness_async.jobs._plan import GivenItems, Plan, estimate_share, make_plan
from tencent_liveness_async.jobs._records import Item
from tencent_liveness_async.jobs.ledger import Parameters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PARAMETERS = Parameters(None, "sandbox")


class _Items:
    """A source of given items that notes whether it was closed."""

    name = "items"
    extra_columns = ("person",)

    def __init__(self, items: Sequence[Item]) -> None:
        self.is_closed = False
        self._items = list(items)

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        yield self._items

    async def aclose(self) -> None:
        self.is_closed = True


def _urls(count: int) -> list[Item]:
    return [Item(id=str(n), source=str(n), url=f"https://photos.test/{n}.jpg") for n in range(count)]


async def _plan(items: Sequence[Item], *, sample: int = 0, seed: int = 0) -> Plan:
    return await make_plan(_Items(items), None, PARAMETERS, sample=sample, seed=seed)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)],
)
def test_interval_is_wilsons(part: int, whole: int, low: float, high: float) -> None:
    """The interval has the values of the published formula, and knows nothing of no sample."""
    assert estimate_share(part, whole) == pytest.approx((low, high), abs=1e-4)


async def test_items_are_counted_by_what_becomes_of_them() -> None:
    """URLs are checked by their text, equal ones count once, and an item's own error is unreadable."""
    items = [
        *_urls(3),
        Item(id="again", source="again", url="https://photos.test/0.jpg"),
        Item(id="ftp", source="ftp", url="ftp://photos.test/0.jpg"),
        Item(id="bad", source="line 7", error=PhotoUnreadableError("line 7 has no photo")),
    ]
    plan = await _plan(items)
    assert (plan.found, plan.equal, plan.refused, plan.unreadable) == (6, 1, {"url": 1}, 1)
    assert (plan.to_score, plan.calls_at_best, plan.calls_at_worst) == (3, 3, 6)


async def test_sample_is_random_and_repeatable() -> None:
    """A seed gives the same photos again, another one others, and no photo comes twice."""
    items = _urls(200)
    first, again, other = [(await _plan(items, sample=20, seed=seed)).sample for seed in (1, 1, 2)]
    assert first == again != other
    assert len({item.id for item in first}) == 20


async def test_sample_is_drawn_from_all() -> None:
    """Every photo has the same chance, the first as the last."""
    items = _urls(20)
    drawn = [item.id for seed in range(200) for item in (await _plan(items, sample=2, seed=seed)).sample]
    assert all(8 <= drawn.count(item.id) <= 36 for item in items)


async def test_sample_closes_its_source() -> None:
    """The items of a sample may still be read from their source, so it is closed with them."""
    source = _Items(_urls(3))
    given = GivenItems(source, _urls(2))
    assert [len(batch) async for batch in given] == [2]
    assert (given.extra_columns, source.is_closed) == (("person",), False)
    await given.aclose()
    assert source.is_closed
