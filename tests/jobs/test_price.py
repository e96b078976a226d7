from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async.jobs._price import PriceTable, PriceTier

if TYPE_CHECKING:
    from pathlib import Path

FULL = """
currency = "CNY"
free_calls = 100
used_calls = 50

[[tiers]]
up_to = 1000
price = 0.2

[[tiers]]
price = 0.1
"""


def make_table(
    *tiers: tuple[int | None, str], free_calls: int = 0, used_calls: int = 0, currency: str = "CNY"
) -> PriceTable:
    """Make a table of tiers, each the end of its months and its price."""
    return PriceTable(
        currency=currency,
        tiers=tuple(PriceTier(Decimal(price), up_to) for up_to, price in tiers),
        free_calls=free_calls,
        used_calls=used_calls,
    )


def read_text(tmp_path: Path, text: str) -> PriceTable:
    """Read a table from a file with this text."""
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return PriceTable.read(path)


@st.composite
def make_tables(draw: st.DrawFn) -> PriceTable:
    """Make any small table: prices may fall or rise from tier to tier."""
    ends = sorted(draw(st.sets(st.integers(1, 60), max_size=4)))
    prices = st.decimals("0.001", "2", places=3)
    return PriceTable(
        currency="CNY",
        tiers=tuple(PriceTier(draw(prices), up_to) for up_to in (*ends, None)),
        free_calls=draw(st.integers(0, 30)),
        used_calls=draw(st.integers(0, 70)),
    )


def test_month_total_picks_one_price_for_all_calls() -> None:
    """The price of the month's tier is for every call of the month that is not free."""
    table = make_table((1000, "0.2"), (None, "0.1"), free_calls=100)
    assert [table.cost_of(calls) for calls in (0, 100, 101, 1000, 1001)] == [
        Decimal(0),
        Decimal(0),
        Decimal("0.2"),
        Decimal(180),
        Decimal("90.1"),
    ]


def test_calls_of_the_month_before_the_run_count() -> None:
    """They use up free calls, and a run that reaches a cheaper tier makes them cheaper, too."""
    assert make_table((None, "0.2"), free_calls=100, used_calls=70).cost_of(40) == Decimal(2)
    assert make_table((1000, "0.2"), (None, "0.1"), used_calls=1000).cost_of(1) == Decimal("-99.9")


@pytest.mark.parametrize(
    ("cost", "calls"), [("0", 100), ("0.19", 100), ("0.2", 101), ("100", 600), ("179.99", 999)]
)
def test_most_calls_for_a_cost(cost: str, calls: int) -> None:
    """Free calls cost nothing, and the next one does; a call that would go over is not counted."""
    table = make_table((1000, "0.2"), (None, "0.1"), free_calls=100)
    assert table.max_calls_for(Decimal(cost)) == calls


def test_cheaper_tier_behind_a_dear_one_is_not_reached() -> None:
    """1,001 calls would cost 100.1, but the run could stop at 1,000, which cost 200."""
    table = make_table((1000, "0.2"), (None, "0.1"))
    assert table.max_calls_for(Decimal(150)) == 750
    assert table.max_calls_for(Decimal("199.9")) == 999
    assert table.max_calls_for(Decimal(200)) == 2000


def test_dearer_tier_is_not_entered() -> None:
    """Where a tier is dearer, its first call raises the price of the whole month."""
    table = make_table((1000, "0.1"), (None, "0.2"))
    assert table.max_calls_for(Decimal(150)) == 1000
    assert table.max_calls_for(Decimal("200.2")) == 1001


def test_no_money_buys_no_call() -> None:
    """A cost below 0 allows none, also where a call would make the month cheaper."""
    table = make_table((1000, "0.2"), (None, "0.1"), used_calls=1000)
    assert table.max_calls_for(Decimal(-1)) == 0
    assert table.max_calls_for(Decimal(0)) == 1000


@given(make_tables(), st.decimals(0, 100, places=3))
def test_every_stop_keeps_within_the_cost_and_one_call_more_would_not(
    table: PriceTable, cost: Decimal
) -> None:
    """However far the run gets, it has not cost more; the limit is the first call that would."""
    most = table.max_calls_for(cost)
    assert most >= 0
    assert all(table.cost_of(calls) <= cost for calls in range(min(most, 300) + 1))
    assert table.cost_of(most) <= cost
    assert table.cost_of(most + 1) > cost


@given(make_tables(), st.integers(0, 200), st.integers(0, 200))
def test_runs_of_a_month_add_up(table: PriceTable, first: int, second: int) -> None:
    """Two runs cost what one of both costs, whatever tiers they reach."""
    later = PriceTable(table.currency, table.tiers, table.free_calls, table.used_calls + first)
    assert table.cost_of(first) + later.cost_of(second) == table.cost_of(first + second)


@given(make_tables(), st.integers(0, 200))
def test_cost_is_that_of_the_rule(table: PriceTable, calls: int) -> None:
    """The month's cost is max(0, N - free) times the price of N's tier, before the run and after it."""

    def bill(total: int) -> Decimal:
        prices = [tier.price for tier in table.tiers if tier.up_to is None or total <= tier.up_to]
        return prices[0] * max(0, total - table.free_calls)

    assert table.cost_of(calls) == bill(table.used_calls + calls) - bill(table.used_calls)


def test_table_is_read_from_toml(tmp_path: Path) -> None:
    """Prices are read as they are written, not as binary fractions."""
    table = read_text(tmp_path, FULL)
    assert table == make_table((1000, "0.2"), (None, "0.1"), free_calls=100, used_calls=50)
    assert table.cost_of(52) == Decimal("0.4")


def test_least_table_is_a_currency_and_a_price(tmp_path: Path) -> None:
    """Without free calls and used calls there are none; a whole price is a price."""
    table = read_text(tmp_path, 'currency = "USD"\n[[tiers]]\nprice = 2\n')
    assert table == make_table((None, "2"), currency="USD")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[[tiers]]\nprice = 1", "currency: its name is needed"),
        ('currency = ""\n[[tiers]]\nprice = 1', "currency: it is empty"),
        ('currency = "CNY"', "tiers: at least one"),
        ('currency = "CNY"\ntiers = []', "tiers: at least one"),
        ('currency = "CNY"\ntiers = [1]', "tier 1, it is 1, and has to be a table"),
        ('currency = "CNY"\nfree_call = 1\n[[tiers]]\nprice = 1', "free_call: not known here; .*free_calls"),
        ('currency = "CNY"\nfree_calls = -1\n[[tiers]]\nprice = 1', "free_calls: it is -1"),
        ('currency = "CNY"\nused_calls = 1.5\n[[tiers]]\nprice = 1', "used_calls: it is .*whole number"),
        ('currency = "CNY"\nused_calls = true\n[[tiers]]\nprice = 1', "used_calls: it is True"),
        ('currency = "CNY"\n[[tiers]]\nup_to = 1', "tier 1, price: a number is needed"),
        ('currency = "CNY"\n[[tiers]]\nprice = "1"', "tier 1, price: a number is needed"),
        ('currency = "CNY"\n[[tiers]]\nprice = 0', "tier 1, price: it is 0, and has to be over 0"),
        ('currency = "CNY"\n[[tiers]]\nprice = nan', "tier 1, price: it is NaN"),
        ('currency = "CNY"\n[[tiers]]\nprice = inf', "tier 1, price: it is Infinity"),
        ('currency = "CNY"\n[[tiers]]\nprice = 1\ncost = 1', "tier 1, cost: not known here; .*up_to, price"),
        ('currency = "CNY"\n[[tiers]]\nprice = 1\nup_to = 9', "tier 1, up_to: every tier but the last"),
        (
            'currency = "CNY"\n[[tiers]]\nprice = 1\n[[tiers]]\nprice = 2',
            "tier 1, up_to: every tier but the last",
        ),
        (
            'currency = "CNY"\ntiers = [{price = 1, up_to = 9}, {price = 2, up_to = 9}, {price = 3}]',
            "tier 2, up_to: it is 9, and has to be over 9",
        ),
        ('currency = "CNY"\n[[tiers]]\nprice = 1\nup_to = 0\n[[tiers]]\nprice = 2', "tier 1, up_to: it is 0"),
        ("currency = CNY", "is no TOML: .*line 1"),
    ],
)
def test_wrong_key_is_named(tmp_path: Path, text: str, match: str) -> None:
    """A table that makes no sense is refused with the file, the key and what it has to be."""
    with pytest.raises(ConfigurationError, match=match) as caught:
        read_text(tmp_path, text)
    assert str(tmp_path / "prices.toml") in str(caught.value)


def test_missing_table_is_told(tmp_path: Path) -> None:
    """A file that is not there is told with its name."""
    with pytest.raises(ConfigurationError, match=r"missing\.toml cannot be read: No such file"):
        PriceTable.read(tmp_path / "missing.toml")
