"""The columns of a result file: names that do not clash, types, and values that every format can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from .._records import RESULT_COLUMNS, name_carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._records import Value

Kind: TypeAlias = type[str] | type[int] | type[float] | type[bool]

RESULT_KINDS: Final[dict[str, Kind]] = dict.fromkeys(RESULT_COLUMNS, str) | {
    "score": float,
    "is_live": bool,
    "threshold": float,
    "attempts": int,
    "billed": int,
    "maybe_billed": int,
    "queue_seconds": float,
    "rate_seconds": float,
    "attempt_seconds": float,
}
"""What the values of the result columns are; each may also be None."""


def name_columns(extra_columns: Sequence[str]) -> tuple[str, ...]:
    """Return all columns of a result file, in order, each once."""
    return tuple(dict.fromkeys((*RESULT_COLUMNS, *map(name_carried, extra_columns))))


def to_text(value: Value) -> str:
    """Return a value as text: nothing for None, `true` and `false` as in JSON."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_plain(value: Value) -> Value:
    r"""Return a value that every format can hold: the same, but for two.

    A whole number of more than 64 bits becomes text. In a file name that is no UTF-8, a strange byte becomes
    `\udc` and its two hex digits.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value
