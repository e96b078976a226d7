"""`tencent-liveness explain`: what an error code means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .._error_codes import CODE_RULES, CodeRule, Handling, find_code_rule
from ._context import CommandError, Context, ExitCode, make_printable
from ._meanings import Meaning, find_meaning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

_HANDLING = {
    Handling.THROTTLE: "everyone is slowed down",
    Handling.TRANSIENT: "may succeed when tried again",
    Handling.ITEM: "recorded on the photo, the run goes on",
    Handling.BATCH: "ends the run",
}
_BILLED = {True: "yes", False: "no", None: "not known"}


def explain(
    *codes: str,
    all_codes: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Say what error codes mean and what to do about them.

    Capitals do not matter, and the last label is enough where only one code has it. The names of error
    classes and of the limits checked before sending (empty, format, long_side ...) are explained too. A
    code that is not documented is judged by its first label, as a run would judge it, and ends the
    command with 1.

    Args:
        codes: Error codes, for example FailedOperation.ServerError, classes or limits.
        all_codes: List every documented code.
        as_json: One JSON object a line: asked, code (the one explained), is_known, prefix, meaning,
            handling, max_retries (null: until the deadline), is_billed (null: not known), error, advice.
            A class or a limit has no prefix, handling, max_retries and advice.
        context: Streams and environment.
    """
    if not codes and not all_codes:
        raise CommandError("explain needs error codes, or --all", ExitCode.USAGE)
    if "" in codes:
        raise CommandError("'' is no error code", ExitCode.USAGE)
    meanings = [find_meaning(code) for code in (*codes, *(sorted(CODE_RULES) if all_codes else ()))]
    if as_json:
        for meaning in meanings:
            context.stdout.write(json.dumps(_describe(meaning)) + "\n")
    elif all_codes:
        context.open_stdout().print(_make_table(meanings))
    else:
        _print_details(meanings, context)
    return ExitCode.OK if all(meaning.is_known for meaning in meanings) else ExitCode.OTHER


def _describe(meaning: Meaning) -> dict[str, object]:
    rule = _find_rule(meaning)
    return {
        "asked": meaning.asked.encode("utf-8", "backslashreplace").decode(),
        "code": meaning.code.encode("utf-8", "backslashreplace").decode(),
        "is_known": meaning.is_known,
        "prefix": rule.prefix if rule else None,
        "meaning": rule.meaning if rule else meaning.text,
        "handling": rule.handling.value if rule else None,
        "max_retries": rule.max_retries if rule else None,
        "is_billed": meaning.is_billed,
        "error": meaning.error,
        "advice": rule.advice if rule else None,
    }


def _print_details(meanings: Iterable[Meaning], context: Context) -> None:
    from rich.table import Table
    from rich.text import Text

    console = context.open_stdout()
    for meaning in meanings:
        title = Text(make_printable(meaning.code), style="bold")
        if meaning.code != meaning.asked:
            title.append(f"  (for {make_printable(meaning.asked)})", style="dim")
        console.print(title)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        for name, text in _list_details(meaning):
            grid.add_row(f"  {name}", make_printable(text))
        console.print(grid)


def _list_details(meaning: Meaning) -> Iterable[tuple[str, str]]:
    rule = _find_rule(meaning)
    yield "meaning", meaning.text
    if rule:
        yield "handling", f"{rule.handling.value}: {_HANDLING[rule.handling]}"
        yield "retries", _tell_retries(rule)
    yield "billed", _BILLED[meaning.is_billed]
    yield "error", meaning.error
    if rule:
        yield "advice", rule.advice


def _find_rule(meaning: Meaning) -> CodeRule | None:
    return find_code_rule(meaning.code) if meaning.is_code else None


def _tell_retries(rule: CodeRule) -> str:
    if rule.max_retries is None:
        return "until the deadline"
    return f"at most {rule.max_retries}" if rule.max_retries else "none"


def _make_table(meanings: Iterable[Meaning]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("code", overflow="fold")
    for name in ("handling", "retries", "billed"):
        table.add_column(name, no_wrap=True)
    table.add_column("meaning")
    for meaning in meanings:
        rule = _find_rule(meaning)
        retries = "deadline" if rule and rule.max_retries is None else str(rule.max_retries if rule else "–")
        table.add_row(
            make_printable(meaning.code),
            rule.handling.value if rule else "–",
            retries,
            _BILLED[meaning.is_billed],
            make_printable(meaning.text),
        )
    return table
