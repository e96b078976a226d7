"""The commands' table, and the way from arguments to an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from .._errors import LivenessError, MissingCredentialsError
from .._version import __version__
from ._context import PROGRAM, CommandError, Context, ExitCode
from ._output import drop_rest
from .explain import explain
from .sandbox import sandbox
from .score import score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HELP = """\
Is this face photo live? Asks Tencent Cloud's DetectLiveFaceAccurate, for one photo or a million.

Exit codes: 0 all scored, 1 other, 2 usage, 3 input not found, 4 some failed, \
7 account or credential fault, 130 interrupted (Ctrl-C, SIGTERM, SIGHUP).
"""

_COMMANDS: dict[Callable[..., ExitCode], str] = {
    score: "[OPTIONS] SRC...",
    explain: "[OPTIONS] [CODE...]",
    sandbox: "[OPTIONS]",
}
"""The commands, and what follows their names. Their modules load what they need when they run."""


def run(arguments: Sequence[str] | None, context: Context) -> ExitCode:
    """Run one command; whatever a person can do something about ends in one line on stderr."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run_command(given, context)
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
    )
    for command, usage in _COMMANDS.items():
        app.command(
            command,
            usage=f"Usage: {PROGRAM} {command.__name__} {usage}",
            help_format="markdown",  # takes 0.1 s to load, so not for the list of commands
        )
    return app


def _run_command(arguments: list[str], context: Context) -> ExitCode:
    command, bound, ignored = make_app(context).parse_args(arguments, exit_on_error=False, print_error=False)
    given = {"context": context} if "context" in ignored else {}
    result = command(*bound.args, **bound.kwargs, **given)
    return result if isinstance(result, ExitCode) else ExitCode.OK


def _find_exit_code(error: Exception) -> ExitCode | None:
    match error:
        case CycloptsError():
            return ExitCode.USAGE
        case CommandError():
            return error.code
        case MissingCredentialsError():
            return ExitCode.ACCOUNT
        case LivenessError() | OSError():
            return ExitCode.OTHER
        case _:
            return None


def _tell(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "stdout was closed before all was written"
    if isinstance(error, OSError):
        return f"{error.filename or 'stdout'}: {error.strerror or error}"
    return " ".join(str(error).split()) if isinstance(error, CycloptsError) else str(error)


def _tell_help(arguments: Sequence[str]) -> str:
    names = {command.__name__ for command in _COMMANDS}
    command = f" {arguments[0]}" if arguments and arguments[0] in names else ""
    return f"Try `{PROGRAM}{command} --help`."


def _flush_stdout(context: Context) -> None:
    """Write what is left, and keep the interpreter from complaining at its end that nobody takes it."""
    try:
        context.stdout.flush()
    except OSError:
        drop_rest(context.stdout)
