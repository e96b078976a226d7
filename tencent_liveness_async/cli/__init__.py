"""The command line: `tencent-liveness`, one module per command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._context import Context, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Context", "ExitCode", "main"]

_EXTRA = ("attrs", "cyclopts", "rich")


def main(arguments: Sequence[str] | None = None, *, context: Context | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: What stands after the program's name; by default the process's own arguments.
        context: Streams and environment; by default the process's own.
    """
    used = context or Context.of_process()
    try:
        from ._app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        used.say(f"{error.name} is not installed: pip install 'tencent-liveness-async[cli]'")
        return ExitCode.OTHER
    return run(arguments, used)
