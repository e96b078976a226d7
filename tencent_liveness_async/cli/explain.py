"""`tencent-liveness explain`: what an error code means."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .._error_codes import BILLED_CODES, CODE_RULES, CodeRule, Handling, find_code_rule
from .._errors import find_error_class
from ._context import CommandError, Context, ExitCode, make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

_HANDLING = {
    Handling.THROTTLE: "everyone is slowed down",
    Handling.TRANSIENT: "may succeed when tried again",
    Handling.ITEM: "recorded on the photo, the run goes on",
    Handling.BATCH: "ends the run",
}


def explain(
    *codes: str,
    all_codes: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Say what error codes mean and what to do about them.

    A code that is not documented is judged by its first label, as a run would judge it.

    Args:
        codes: Error codes, for example FailedOperation.ServerError.
        all_codes: List every documented code.
        as_json: One JSON object a line: code, is_known, prefix, meaning, handling, max_retries
            (null: until the deadline), is_billed, error, advice.
        context: Streams and environment.
    """
    if not codes and not all_codes:
        raise CommandError("explain needs error codes, or --all", ExitCode.USAGE)
    wanted = [*codes, *(sorted(CODE_RULES) if all_codes else ())]
    if as_json:
        for code in wanted:
            context.stdout.write(json.dumps(_describe(code)) + "\n")
    elif all_codes:
        context.open_stdout().print(_make_table(wanted))
    else:
        _print_details(wanted, context)
    return ExitCode.OK


def _describe(code: str) -> dict[str, object]:
    rule = find_code_rule(code)
    return {
        "code": code,
        "is_known": rule.is_known,
        "prefix": rule.prefix,
        "meaning": rule.meaning,
        "handling": rule.handling.value,
        "max_retries": rule.max_retries,
        "is_billed": code in BILLED_CODES,
        "error": find_error_class(code).__name__,
        "advice": rule.advice,
    }


def _print_details(codes: Iterable[str], context: Context) -> None:
    from rich.table import Table
    from rich.text import Text

    console = context.open_stdout()
    for code in codes:
        console.print(Text(make_printable(code), style="bold"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        for name, text in _list_details(code, find_code_rule(code)):
            grid.add_row(f"  {name}", text)
        console.print(grid)


def _list_details(code: str, rule: CodeRule) -> Iterable[tuple[str, str]]:
    yield "meaning", _explain(code, rule)
    yield "handling", f"{rule.handling.value}: {_HANDLING[rule.handling]}"
    yield "retries", _tell_retries(rule)
    yield "billed", "yes" if code in BILLED_CODES else "no"
    yield "error", find_error_class(code).__name__
    yield "advice", rule.advice


def _explain(code: str, rule: CodeRule) -> str:
    if rule.prefix is None:
        return rule.meaning
    judged = (
        f"judged by its prefix {rule.prefix}"
        if rule.prefix
        else "no prefix rule fits, so it is judged as the photo's"
    )
    near = _find_near(code)
    return f"not documented; {judged}." + (f" Did you mean {near}?" if near else "")


def _find_near(code: str) -> str | None:
    """Return the documented code that was most likely meant, by the whole code or by its last label."""
    by_label = {known.rpartition(".")[2].lower(): known for known in CODE_RULES}
    by_code = {known.lower(): known for known in CODE_RULES}
    for known, text in ((by_code, code.lower()), (by_label, code.lower().rpartition(".")[2])):
        for match in difflib.get_close_matches(text, known, n=1, cutoff=0.85):
            return known[match]
    return None


def _tell_retries(rule: CodeRule) -> str:
    if rule.max_retries is None:
        return "until the deadline"
    return f"at most {rule.max_retries}" if rule.max_retries else "none"


def _make_table(codes: Iterable[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("code", overflow="fold")
    for name in ("handling", "retries", "billed"):
        table.add_column(name, no_wrap=True)
    table.add_column("meaning")
    for code in codes:
        rule = find_code_rule(code)
        table.add_row(
            make_printable(code),
            rule.handling.value,
            "deadline" if rule.max_retries is None else str(rule.max_retries),
            "yes" if code in BILLED_CODES else "no",
            _explain(code, rule),
        )
    return table
