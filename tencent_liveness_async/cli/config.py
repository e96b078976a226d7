"""`tencent-liveness config`: what is set, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .._credentials.environment import SECRET_ID_VARIABLE, SECRET_KEY_VARIABLE, TOKEN_VARIABLES
from ._config import SETTINGS, Configuration
from ._context import Context, ExitCode
from ._options import LIMITS, SERVICE, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULTS = {
    name.replace("_", "-"): getattr(options, name)
    for options in (SERVICE, SOURCE, LIMITS)
    for name in type(options).__dataclass_fields__
}


def show(*, context: Annotated[Context, Parameter(parse=False)]) -> ExitCode:
    """Show every setting, its value, and where it is from.

    An option on the command line counts first, then the variable TENCENT_LIVENESS_ and the option's name
    in capitals, then the file tencent-liveness.toml in the working folder or the one that
    TENCENT_LIVENESS_CONFIG names, then the default. Of the key pair it is said whether it is there; it
    is never shown, and the file cannot hold it.

    Args:
        context: Streams and environment.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for row in _list_rows(context):
        table.add_row(*map(Text, row))
    context.open_stdout().print(table)
    return ExitCode.OK


def _list_rows(context: Context) -> Iterator[tuple[str, str, str]]:
    configuration = Configuration(context.environment)
    for name in SETTINGS:
        value, place = configuration.find(name) or (_tell(_DEFAULTS[name]), "default")
        yield name, value, place
    for variable in (SECRET_ID_VARIABLE, SECRET_KEY_VARIABLE, *TOKEN_VARIABLES):
        is_set = bool(context.environment.get(variable))
        yield variable, "set, not shown" if is_set else "-", "variable" if is_set else "-"


def _tell(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "-" if default is None else str(default)
