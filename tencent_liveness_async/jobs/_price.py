"""What calls cost, by the user's own price table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import TYPE_CHECKING, Self, TypeGuard

from .._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PriceTier:
    """A price and the months it is for.

    Attributes:
        price: Of one call, in the table's currency, over 0.
        up_to: The most calls of a month, free ones included, that have this price; None in the last tier.
    """

    price: Decimal
    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What a month of calls costs. No price is known to the package: the user gives them.

    The month's total picks one price for all its calls: N calls cost `max(0, N - free_calls) * price(N)`. So
    where a tier begins the cost of the month jumps, mostly down.

        currency = "CNY"
        free_calls = 100          # a month, 0 without it
        used_calls = 2500         # of this month before the run, 0 without it

        [[tiers]]
        up_to = 10000
        price = 0.2

        [[tiers]]                 # the last one has no up_to
        price = 0.1

    Attributes:
        currency: Its name, for messages.
        tiers: By `up_to`, growing.
        free_calls: Calls of a month that cost nothing.
        used_calls: Calls of this month that were billed before the run, free ones included.

    Raises:
        ConfigurationError: A value makes no sense; the message begins with its key.
    """

    currency: str
    tiers: tuple[PriceTier, ...]
    free_calls: int = 0
    used_calls: int = 0

    def __post_init__(self) -> None:
        if not self.currency:
            raise ConfigurationError("currency: it is empty; give its name, for example CNY")
        for key in ("free_calls", "used_calls"):
            if getattr(self, key) < 0:
                raise ConfigurationError(f"{key}: it is {getattr(self, key)}, less than 0")
        _check_tiers(self.tiers)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a table from a TOML file.

        Raises:
            ConfigurationError: The file cannot be read, or a key is missing, unknown or wrong.
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
            return cls._parse(document)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise ConfigurationError(f"{path} is no TOML: {error}") from error
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from error

    def cost_of(self, calls: int) -> Decimal:
        """Return by how much this many further calls raise the month's cost.

        It is less than 0 where they reach a tier whose price for the whole month makes it cheaper.

        Args:
            calls: Billed calls of the run, 0 or more.
        """
        return self._bill(self.used_calls + calls) - self._bill(self.used_calls)

    def max_calls_for(self, cost: Decimal) -> int:
        """Return the most further calls that keep within a cost, whichever of them turns out to be the last.

        A run may stop at any call, so a tier that would make more calls cheaper again is of no help where the
        calls before it cost too much.

        Args:
            cost: The most that `cost_of` may come to for any number of calls up to the returned one.
        """
        if cost < 0:
            return 0
        # Exact, whatever the precision of decimals is: a call too many would break the promise.
        limit = Fraction(cost) + Fraction(self._bill(self.used_calls))
        total = self.used_calls
        for tier in self._tiers_from(total):
            most = self.free_calls + floor(limit / Fraction(tier.price))
            last = most if tier.up_to is None else min(most, tier.up_to)
            total = max(total, last)
            if last != tier.up_to:
                break
        return total - self.used_calls

    def _bill(self, total: int) -> Decimal:
        """Return the cost of a month with so many calls."""
        return max(0, total - self.free_calls) * next(self._tiers_from(total - 1)).price

    def _tiers_from(self, total: int) -> Iterator[PriceTier]:
        """Return the tiers of months with more calls than this."""
        return (tier for tier in self.tiers if tier.up_to is None or tier.up_to > total)

    @classmethod
    def _parse(cls, document: Mapping[str, object]) -> Self:
        _refuse_unknown(document, ("currency", "tiers", "free_calls", "used_calls"), "")
        currency, tiers = document.get("currency"), document.get("tiers")
        if not isinstance(currency, str):
            raise ConfigurationError('currency: its name is needed, for example "CNY"')
        if not isinstance(tiers, list):
            raise ConfigurationError("tiers: at least one table [[tiers]] with a price is needed")
        return cls(
            currency=currency,
            tiers=tuple(_parse_tier(tier, f"tier {number}, ") for number, tier in enumerate(tiers, 1)),
            free_calls=_parse_count(document, "free_calls", "") or 0,
            used_calls=_parse_count(document, "used_calls", "") or 0,
        )


def _check_tiers(tiers: tuple[PriceTier, ...]) -> None:
    if not tiers:
        raise ConfigurationError("tiers: at least one table [[tiers]] with a price is needed")
    for number, tier in enumerate(tiers, 1):
        if not (tier.price.is_finite() and tier.price > 0):
            raise ConfigurationError(f"tier {number}, price: it is {tier.price}, and has to be over 0")
        if (tier.up_to is None) != (number == len(tiers)):
            raise ConfigurationError(
                f"tier {number}, up_to: every tier but the last has one, the last has none"
            )
    ends = [0, *(tier.up_to for tier in tiers if tier.up_to is not None)]
    for number, (previous, end) in enumerate(pairwise(ends), 1):
        if end <= previous:
            raise ConfigurationError(f"tier {number}, up_to: it is {end}, and has to be over {previous}")


def _parse_tier(tier: object, where: str) -> PriceTier:
    if not isinstance(tier, dict):
        raise ConfigurationError(f"{where}it is {tier!r}, and has to be a table [[tiers]]")
    _refuse_unknown(tier, ("up_to", "price"), where)
    price = tier.get("price")
    if not (_is_whole(price) or isinstance(price, Decimal)):
        raise ConfigurationError(f"{where}price: a number is needed, the price of one call")
    return PriceTier(price=Decimal(price), up_to=_parse_count(tier, "up_to", where))


def _parse_count(table: Mapping[str, object], key: str, where: str) -> int | None:
    value = table.get(key)
    if value is not None and not _is_whole(value):
        raise ConfigurationError(f"{where}{key}: it is {value!r}, and has to be a whole number of calls")
    return value


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse_unknown(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigurationError(f"{where}{key}: not known here; there are {', '.join(known)}")
