"""The fault script: which calls go wrong, and how.

    {"seed": 7, "rules": [
        {"fault": "code", "code": "FailedOperation.ServerError", "rate": 0.01},
        {"fault": "reset", "at": "answer", "calls": [1, 5]},
        {"fault": "arrears", "after": 1000}]}

The first rule that matches a call decides. A rule matches by `rate`, by `calls` or by `after`; calls
are numbered from 1, from the moment the script is set. Whether a rate matches depends on the seed, the rule's
place and the call's number alone, so that neither timing nor concurrency changes it.

| fault      | parameters         | what happens                                             | work |
|------------|--------------------|----------------------------------------------------------|------|
| `code`     | `code`, `message`? | the error code in place of the work                      | no   |
| `arrears`  |                    | `ResourceUnavailable.InArrears` in place of the work     | no   |
| `status`   | `status`? (502)    | a gateway's HTML page with that status                   | no   |
| `html`     |                    | an HTML page with status 200                             | no   |
| `reset`    | `at`: `request`    | TCP RST when the headers have arrived                    | no   |
| `reset`    | `at`: `answer`     | TCP RST in place of the answer                           | yes  |
| `reset`    | `at`: `body`       | half of the answer, then TCP RST                         | yes  |
| `truncate` |                    | half of the answer, then the connection's regular end    | yes  |
| `stall`    | `seconds`          | nothing for so long, then the answer                     | yes  |
| `drip`     | `bytes_per_second` | the answer's body at that pace                           | yes  |

Where the work is done it is billed as always. A call that is refused before its work (signature,
quota) is not changed by `code` and `arrears`; its answer can still be cut or late.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, NoReturn, TypeAlias, cast

from .._errors import ConfigurationError
from ._chance import draw

FaultKind: TypeAlias = Literal["code", "arrears", "status", "html", "reset", "truncate", "stall", "drip"]
ResetPoint: TypeAlias = Literal["request", "answer", "body"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One line of a fault script; exactly one of `rate`, `calls` and `after` is given.

    Example:
        >>> FaultRule(fault="stall", seconds=3, calls=(2,)).matches(2, chance=0.9)
        True

    Attributes:
        fault: What goes wrong.
        rate: The share of calls, 0 to 1.
        calls: Numbers of calls, from 1.
        after: Every call after this many.
        code: The error code of a `code` fault.
        message: Its text; the sandbox's own if absent.
        status: The HTTP status of a `status` fault, 400 to 599; 502 if absent.
        at: When a `reset` comes.
        seconds: How long a `stall` lasts.
        bytes_per_second: The pace of a `drip`.
    """

    fault: FaultKind
    rate: float | None = None
    calls: tuple[int, ...] | None = None
    after: int | None = None
    code: str | None = None
    message: str | None = None
    status: int | None = None
    at: ResetPoint | None = None
    seconds: float | None = None
    bytes_per_second: float | None = None

    def __post_init__(self) -> None:
        _check_rule(self.to_json())

    def matches(self, number: int, *, chance: float) -> bool:
        """Say whether the rule is for the call of that number; `chance` is its draw, 0 to 1."""
        if self.calls is not None:
            return number in self.calls
        if self.after is not None:
            return number > self.after
        return self.rate is not None and chance < self.rate

    @property
    def is_gateway(self) -> bool:
        """Whether the call goes no further than the gateway: no work, no bill, no error code."""
        return self.fault in ("status", "html") or self.at == "request"

    @property
    def answer_code(self) -> str | None:
        """The error code that stands in place of the work, if the rule gives one."""
        return "ResourceUnavailable.InArrears" if self.fault == "arrears" else self.code

    def to_json(self) -> dict[str, object]:
        """Return what is set, as in a script."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class FaultScript:
    """What goes wrong in which calls. An empty one lets all go well.

    Attributes:
        seed: Changes which calls a `rate` hits.
        rules: In order; the first that matches decides.
    """

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()

    @classmethod
    def parse(cls, data: object) -> FaultScript:
        """Make a script of decoded JSON.

        Raises:
            ConfigurationError: It is not a script; the message names the field.
        """
        if not isinstance(data, Mapping):
            _refuse("the fault script", "must be an object with `seed` and `rules`")
        for name in data:
            if name not in ("seed", "rules"):
                _refuse(str(name), "is not known; a script has `seed` and `rules`")
        seed, rules = data.get("seed", 0), data.get("rules", [])
        if not _is_whole(seed):
            _refuse("seed", "must be a whole number")
        if not isinstance(rules, list | tuple):
            _refuse("rules", "must be a list")
        return cls(seed, tuple(_parse_rule(rule, index) for index, rule in enumerate(rules)))

    def find(self, number: int) -> FaultRule | None:
        """Return the rule that decides the call of that number."""
        for index, rule in enumerate(self.rules):
            chance = 0.0 if rule.rate is None else draw(self.seed, f"fault:{index}:{number}")
            if rule.matches(number, chance=chance):
                return rule
        return None

    def to_json(self) -> dict[str, object]:
        """Return it as `GET /_sandbox/faults` shows it."""
        return {"seed": self.seed, "rules": [rule.to_json() for rule in self.rules]}


class RunningScript:
    """A script and the number of the next call."""

    def __init__(self, script: FaultScript) -> None:
        self.script = script
        self._numbers = itertools.count(1)

    def take_number(self) -> int:
        """Return the number of the call that arrives now."""
        return next(self._numbers)


def _refuse(name: str, complaint: str) -> NoReturn:
    raise ConfigurationError(f"fault script: {name} {complaint}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_between(low: float, high: float) -> Callable[[object], bool]:
    return lambda value: _is_number(value) and low <= cast("float", value) <= high


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_call_list(value: object) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(_is_whole(number) and number >= 1 for number in value)


_DRIP_SLOWEST = 1e-3
_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "rate": (_is_between(0, 1), "must be a number from 0 to 1"),
    "calls": (_is_call_list, "must be a list of call numbers from 1"),
    "after": (
        lambda value: _is_whole(value) and cast("int", value) >= 0,
        "must be a whole number from 0",
    ),
    "code": (lambda value: _is_text(value) and bool(value), "must be an error code"),
    "message": (_is_text, "must be text"),
    "status": (
        lambda value: _is_whole(value) and 400 <= cast("int", value) <= 599,
        "must be a whole number from 400 to 599",
    ),
    "at": (
        lambda value: value in ("request", "answer", "body"),
        "must be `request`, `answer` or `body`",
    ),
    "seconds": (_is_between(0, math.inf), "must be a number of seconds from 0"),
    "bytes_per_second": (
        _is_between(_DRIP_SLOWEST, math.inf),
        f"must be a number from {_DRIP_SLOWEST}",
    ),
}
_TRIGGERS = ("rate", "calls", "after")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "code": ("code",),
    "arrears": (),
    "status": (),
    "html": (),
    "reset": ("at",),
    "truncate": (),
    "stall": ("seconds",),
    "drip": ("bytes_per_second",),
}
_OPTIONAL = {"code": ("message",), "status": ("status",)}


def _parse_rule(data: object, index: int) -> FaultRule:
    place = f"rules[{index}]"
    if not isinstance(data, Mapping):
        _refuse(place, "must be an object")
    _check_rule(data, f"{place}.")
    values = {name: tuple(value) if name == "calls" else value for name, value in data.items()}
    return FaultRule(**values)  # type: ignore[arg-type] # _check_rule has looked at each


def _check_rule(data: Mapping[str, object], place: str = "") -> None:
    """Refuse a rule with an unknown, missing, misplaced or wrong field."""
    fault = data.get("fault")
    if not isinstance(fault, str) or fault not in _REQUIRED:
        _refuse(f"{place}fault", f"must be one of {', '.join(_REQUIRED)}")
    _check_fields(data, fault, place)
    for name in _REQUIRED[fault]:
        if name not in data:
            _refuse(f"{place}{name}", f"is missing; `{fault}` needs it")
    if sum(name in data for name in _TRIGGERS) != 1:
        _refuse(f"{place}rate", "or `calls` or `after`: exactly one of the three must be given")


def _check_fields(data: Mapping[str, object], fault: str, place: str) -> None:
    allowed = (*_TRIGGERS, *_REQUIRED[fault], *_OPTIONAL.get(fault, ()))
    for name, value in data.items():
        if name == "fault":
            continue
        if name not in allowed:
            _refuse(f"{place}{name}", f"is not a field of `{fault}`")
        is_right, complaint = _CHECKS[name]
        if not is_right(value):
            _refuse(f"{place}{name}", complaint)
