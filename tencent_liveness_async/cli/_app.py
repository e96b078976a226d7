"""The commands' table, and the way from arguments to an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from .._errors import LivenessError, MissingCredentialsError
from .._version import __version__
from ._context import PROGRAM, CommandError, Context, ExitCode
from .explain import explain
from .sandbox import sandbox
from .score import score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HELP = """\
Is this face photo live? Asks Tencent Cloud's DetectLiveFaceAccurate, for one photo or a million.

Exit codes: 0 all scored, 1 other, 2 usage, 3 input not found, 4 some failed, \
7 account or credential fault, 130 interrupted.
"""

_COMMANDS: dict[Callable[..., ExitCode], str] = {
    score: "[OPTIONS] SRC...",
    explain: "[OPTIONS] [CODE...]",
    sandbox: "[OPTIONS]",
}
"""The commands, and what follows their names. Their modules load what they need when they run."""


def run(arguments: Sequence[str] | None, context: Context) -> ExitCode:
    """Run one command; whatever a person can do something about ends in one line on stderr."""
    try:
        return _run_command(sys.argv[1:] if arguments is None else list(arguments), context)
    except CycloptsError as error:
        context.say(f"{_flatten(error)} Try `{PROGRAM} --help`.")
        return ExitCode.USAGE
    except CommandError as error:
        context.say(str(error))
        return error.code
    except LivenessError as error:
        context.say(str(error))
        return ExitCode.ACCOUNT if isinstance(error, MissingCredentialsError) else ExitCode.OTHER
    except BrokenPipeError:
        context.say("stdout was closed before all was written")
        return ExitCode.OTHER
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


def _flatten(error: CycloptsError) -> str:
    return " ".join(str(error).split())


def _flush_stdout(context: Context) -> None:
    """Write what is left, and keep the interpreter from complaining at its end that the pipe is closed."""
    try:
        context.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), context.stdout.fileno())
