"""How long the sandbox's work takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

from .._errors import ConfigurationError

Distribution: TypeAlias = Literal["constant", "uniform", "lognormal"]

_NORMAL = NormalDist()
_SMALLEST_CHANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of seconds.

    Example:
        >>> Latency.parse("0.2..1.0") == Latency.uniform(0.2, 1.0)
        True

    Attributes:
        distribution: Its shape.
        seconds: The constant, the lower end, or the median.
        spread: Nothing (constant), the width (uniform), or the sigma of the logarithm (lognormal).
    """

    distribution: Distribution = "constant"
    seconds: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.seconds, self.spread):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(f"a latency is finite and not negative, not {value}")

    @classmethod
    def constant(cls, seconds: float) -> Latency:
        """Make one that is always the same."""
        return cls("constant", seconds)

    @classmethod
    def uniform(cls, low: float, high: float) -> Latency:
        """Make one in which each value from `low` to `high` is as likely."""
        return cls("uniform", low, high - low)

    @classmethod
    def lognormal(cls, median: float, sigma: float) -> Latency:
        """Make one with a long tail: half below `median`, 2 % above exp(2 sigma) times it."""
        return cls("lognormal", median, sigma)

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Read `0.3` (constant), `0.2..1.0` (uniform) or `lognormal:0.4:0.5` (median, sigma).

        Raises:
            ConfigurationError: The text is none of these.
        """
        try:
            return cls._parse(text.strip())
        except ValueError:
            raise ConfigurationError(
                f"latency {text!r} is none of `0.3`, `0.2..1.0` and `lognormal:0.4:0.5` (seconds)"
            ) from None

    @classmethod
    def _parse(cls, text: str) -> Latency:
        if text.startswith("lognormal:"):
            median, sigma = text.removeprefix("lognormal:").split(":")
            return cls.lognormal(float(median), float(sigma))
        low, dots, high = text.partition("..")
        return cls.uniform(float(low), float(high)) if dots else cls.constant(float(low))

    def draw(self, chance: float) -> float:
        """Return the seconds that belong to a number from 0 to 1."""
        if self.distribution == "constant":
            return self.seconds
        if self.distribution == "uniform":
            return self.seconds + self.spread * chance
        return self.seconds * math.exp(self.spread * _NORMAL.inv_cdf(max(chance, _SMALLEST_CHANCE)))
