"""Options that commands share: where calls go, what sources hold, what a job may spend."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from ._context import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAG = Parameter(negative=(), show_default=False)
OPTIONAL = Parameter(show_default=False)
THRESHOLD = Parameter(validator=Number(gte=0, lte=100))
TOGETHER = Parameter(name="*")
"""The fields of a dataclass are options of their own."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_ERRORS = re.compile(r"(\d+(?:\.\d+)?)(%?)", re.ASCII)


def read_duration(_: type, tokens: Sequence[Token]) -> float:
    """Return seconds: 90, 90s, 15m, 2h, 1d."""
    found = _DURATION.fullmatch(tokens[0].value)
    if not found or not float(found[1]):
        raise ValueError(f"{tokens[0].value!r} is no duration over 0: write 90, 15m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


@dataclass(frozen=True, slots=True)
class ErrorLimit:
    """How many photos may fail.

    Attributes:
        count: So many; None for no such limit.
        share: A share of those that ended, 0 to 1; None for no such limit.
    """

    count: int | None = None
    share: float | None = None


def read_errors(_: type, tokens: Sequence[Token]) -> ErrorLimit:
    """Return what `20` or `5%` means."""
    text = tokens[0].value
    found = _ERRORS.fullmatch(text)
    if found and found[2] and float(found[1]) <= 100:
        return ErrorLimit(share=float(found[1]) / 100)
    if found and not found[2] and found[1].isdecimal():
        return ErrorLimit(count=int(found[1]))
    raise ValueError(f"{text!r} is neither a number of photos, such as 20, nor a share of them, such as 5%")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """Where calls go, and how fast.

    Attributes:
        sandbox: Score against an emulator started for this run. It judges nothing and costs nothing.
        rate: Attempts per second. Above the account's quota, about 50, the excess is throttled.
        max_concurrency: Photos that are read, sent or retried at the same time. Each takes up to 10 MB.
        threshold: Score from 0 to 100 from which a photo counts as live.
        model_version: The face model that shall judge, such as 3.0. The default is the service's.
        region: The region named in each call.
        endpoint: Where the API is served. The default is the service.
        deadline: Seconds for one photo, from being taken to its outcome. The default is 60 and the time that
            the photos taken together need at the rate.
    """

    sandbox: Annotated[bool, FLAG] = False
    rate: Annotated[float, Parameter(validator=Number(gt=0))] = 45.0
    max_concurrency: Annotated[int, Parameter(validator=Number(gte=1))] = 64
    threshold: Annotated[float, THRESHOLD] = 40.0
    model_version: str | None = None
    region: str = "ap-guangzhou"
    endpoint: str | None = None
    deadline: Annotated[float | None, Parameter(validator=Number(gt=0))] = None

    def check(self) -> None:
        """Look for options that exclude each other.

        Raises:
            CommandError: There are some.
        """
        if self.sandbox and self.endpoint:
            raise CommandError("--sandbox and --endpoint exclude each other", ExitCode.USAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What a job's source holds, and under which names.

    Attributes:
        pattern: Take only files whose name matches, such as '*.jpg'.
        unsorted: Take files as the disk has them, which begins at once in a folder of millions.
        id_column: The column of a manifest that names each photo.
        path_column: The column of a manifest with paths.
        url_column: The column of a manifest with http(s) URLs.
    """

    pattern: str | None = None
    unsorted: Annotated[bool, FLAG] = False
    id_column: str | None = None
    path_column: str | None = None
    url_column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOptions:
    """What a job may do and spend.

    Attributes:
        on_unknown: What to do with photos that an earlier run sent and got no answer for, so that they may be
            paid: send them again (retry), leave them (skip), or ask at the terminal, which elsewhere is skip.
        max_calls: The most calls that may be billed, retries included.
        max_cost: The most that the calls may cost, in the money of the prices.
        prices: A TOML file with the prices of calls.
        max_duration: Take in nothing more after so long: 90, 15m, 2h.
        max_errors: Stop when more photos than this have failed: 20, or 5% of at least 100.
    """

    on_unknown: Literal["ask", "retry", "skip"] = "ask"
    max_calls: Annotated[int | None, Parameter(validator=Number(gte=0))] = None
    max_cost: Annotated[str | None, OPTIONAL] = None
    prices: Path | None = None
    max_duration: Annotated[float | None, Parameter(converter=read_duration, validator=Number(gt=0))] = None
    max_errors: Annotated[ErrorLimit | None, Parameter(converter=read_errors, accepts_keys=False)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayOptions:
    """What is said while a job runs.

    Attributes:
        json_events: One JSON object a second on stderr instead of progress, and one at the start and the end.
        quiet: Nothing but results and errors.
    """

    json_events: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False
    quiet: Annotated[bool, Parameter(alias="-q", negative=(), show_default=False)] = False


SERVICE = ServiceOptions()
SOURCE = SourceOptions()
LIMITS = LimitOptions()
DISPLAY = DisplayOptions()
