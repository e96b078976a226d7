"""Settings from variables and from a file: an option counts first, then its variable, then the file.

`--max-calls 1000`, `TENCENT_LIVENESS_MAX_CALLS=1000` and `max-calls = 1000` in the file are the same. Only
settings can be given so: what a single run is about, its source and its files, is said on the command line.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cyclopts import Token

from ._context import CommandError, ExitCode
from ._options import LimitOptions, ServiceOptions, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cyclopts import App, ArgumentCollection

CONFIG_VARIABLE = "TENCENT_LIVENESS_CONFIG"
"""Names another file than `DEFAULT_FILE`."""
DEFAULT_FILE = Path("tencent-liveness.toml")
"""In the working folder."""

_PREFIX = "TENCENT_LIVENESS_"
_FOR_ONE_RUN = {"sandbox"}
SETTINGS = tuple(
    field.name.replace("_", "-")
    for options in (ServiceOptions, SourceOptions, LimitOptions)
    for field in fields(options)
    if field.name not in _FOR_ONE_RUN
)
"""What can be set, in the words of the options."""

Found: TypeAlias = tuple[str, str]
"""A value's text and where it is from."""


class Configuration:
    """Fills in options that were not given.

    Args:
        environment: The variables.

    Raises:
        CommandError: When it is first used: the file is missing, is no TOML, or has what is no setting.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._read: dict[str, Found] | None = None

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Add what is set to a command's arguments, as the parser asks for it."""
        del app, commands
        given = {argument.name.removeprefix("--"): argument for argument in arguments}
        is_sandbox = "sandbox" in given and given["sandbox"].has_tokens
        for name in SETTINGS:
            argument = given.get(name)
            if argument is None or argument.tokens or (name == "endpoint" and is_sandbox):
                continue
            if found := self.find(name):
                value, place = found
                argument.append(Token(keyword=place, value=value, source=place))

    def find(self, name: str) -> Found | None:
        """Return a setting's value and where it is from; None if it is not set."""
        variable = _PREFIX + name.upper().replace("-", "_")
        if value := self._environment.get(variable):
            return value, variable
        if self._read is None:
            self._read = self._read_file()
        return self._read.get(name)

    @property
    def path(self) -> Path:
        """The file, whether it is there or not."""
        return Path(self._environment.get(CONFIG_VARIABLE) or DEFAULT_FILE)

    def _read_file(self) -> dict[str, Found]:
        path = self.path
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if not self._environment.get(CONFIG_VARIABLE):
                return {}
            raise CommandError(
                f"{path}, named by {CONFIG_VARIABLE}, is not there", ExitCode.NOT_FOUND
            ) from None
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}", ExitCode.NOT_FOUND) from error
        except ValueError as error:
            raise CommandError(f"{path} is no TOML: {error}", ExitCode.USAGE) from error
        return {
            name.replace("_", "-"): (_to_text(name, value, path), str(path))
            for name, value in settings.items()
        }


def _to_text(name: str, value: object, path: Path) -> str:
    """Return a value as it would stand on the command line; values that are refused are not shown."""
    if name.replace("_", "-") not in SETTINGS:
        raise CommandError(f"{path}: {name} is no setting; there are {', '.join(SETTINGS)}", ExitCode.USAGE)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise CommandError(f"{path}: {name} is neither text nor a number nor true or false", ExitCode.USAGE)
    return str(value)
