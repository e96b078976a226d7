"""The commands' table, and the way from arguments to an exit code."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from .._version import __version__
from ._config import Configuration
from ._context import PROGRAM, CommandError, Context, ExitCode
from ._output import drop_rest
from .compare import compare
from .config import show
from .explain import explain
from .export import export
from .ledger import check, recover
from .plan import plan
from .report import report
from .retry import retry
from .sandbox import sandbox
from .score import score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_HELP = """\
Is this face photo live? Asks Tencent Cloud's DetectLiveFaceAccurate, for one photo or a million.

Exit codes: 0 all scored or refused, 1 other, 2 usage, 3 input not found, 4 some failed, \
5 failed for now, run again, 6 too many errors, 7 account or credential fault, 8 budget used up, \
9 nothing to do, 10 time over, 130 interrupted (Ctrl-C, SIGTERM, SIGHUP).
"""

_COMMANDS: dict[Callable[..., ExitCode], str] = {
    score: "[OPTIONS] SRC...",
    plan: "[OPTIONS] SOURCE",
    retry: "[OPTIONS] LEDGER SOURCE --class CLASS",
    report: "[OPTIONS] LEDGER",
    export: "[OPTIONS] LEDGER --output FILE",
    compare: "[OPTIONS] BEFORE AFTER",
    explain: "[OPTIONS] [CODE...]",
    sandbox: "[OPTIONS]",
}
"""The commands, and what follows their names. Their modules load what they need when they run."""

_GROUPS: dict[str, tuple[str, dict[Callable[..., ExitCode], str]]] = {
    "ledger": (
        "Look at a ledger's file, or save what is left of it.",
        {check: "FILE", recover: "FILE -o NEW"},
    ),
    "config": ("What is set, and where.", {show: ""}),
}
"""Commands that have commands."""


def run(arguments: Sequence[str] | None, context: Context) -> ExitCode:
    """Run one command; whatever a person can do something about ends in one line on stderr."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run_command(given, replace(context, arguments=tuple(given)))
    except Exception as error:
        code = _find_exit_code(error)
        if code is None:
            raise
        message = _tell(error)
        context.say(
            f"{message.removesuffix('.')}. {_tell_help(given)}" if code is ExitCode.USAGE else message
        )
        return code
    except KeyboardInterrupt:
        context.say("interrupted")
        return ExitCode.INTERRUPTED
    finally:
        _flush_stdout(context)


def make_app(context: Context) -> App:
    """Return the parser."""
    app = App(
        name=PROGRAM,
        help=_HELP,
        help_format="plaintext",
        version=f"{PROGRAM} {__version__}",
        console=context.open_stdout(),
        error_console=context.open_stderr(),
        exit_on_error=False,
        print_error=False,
        config=(Configuration(context.environment),),
    )
    _add_commands(app, PROGRAM, _COMMANDS)
    for name, (text, commands) in _GROUPS.items():
        group = App(name=name, help=text, help_format="plaintext")
        _add_commands(group, f"{PROGRAM} {name}", commands)
        app.command(group)
    app.register_install_completion_command(help="Install completion for the shell in use.")
    return app


def _add_commands(app: App, prefix: str, commands: Mapping[Callable[..., ExitCode], str]) -> None:
    for command, usage in commands.items():
        app.command(
            command,
            usage=f"Usage: {prefix} {command.__name__} {usage}".rstrip(),
            help_format="markdown",  # takes 0.1 s to load, so not for the list of commands
        )


def _run_command(arguments: list[str], context: Context) -> ExitCode:
    command, bound, ignored = make_app(context).parse_args(arguments, exit_on_error=False, print_error=False)
    given = {"context": context} if "context" in ignored else {}
    result = command(*bound.args, **bound.kwargs, **given)
    return result if isinstance(result, ExitCode) else ExitCode.OK


def _find_exit_code(error: Exception) -> ExitCode | None:
    if isinstance(error, CycloptsError):
        return ExitCode.USAGE
    if isinstance(error, CommandError):
        return error.code
    from ._faults import find_exit_code

    return find_exit_code(error)


def _tell(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "stdout was closed before all was written"
    if isinstance(error, OSError):
        return f"{error.filename or 'stdout'}: {error.strerror or error}"
    return " ".join(str(error).split()) if isinstance(error, CycloptsError) else str(error)


def _tell_help(arguments: Sequence[str]) -> str:
    names = {*_GROUPS, *(command.__name__ for command in _COMMANDS)}
    command = f" {arguments[0]}" if arguments and arguments[0] in names else ""
    return f"Try `{PROGRAM}{command} --help`."


def _flush_stdout(context: Context) -> None:
    """Write what is left, and keep the interpreter from complaining at its end that nobody takes it."""
    try:
        context.stdout.flush()
    except OSError:
        drop_rest(context.stdout)
