from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from architecture import PACKAGE, Import, Module, read_modules

import tencent_liveness_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rule = Callable[[Module], Iterator[str]]

ROOMS = (
    "_version",
    "_error_codes",
    "_errors",
    "_models",
    "_events",
    "_protocol",
    "_upload",
    "_transport",
    "_credentials",
    "_flow",
    "_call",
    "_client",
    "jobs",
    "integrations",
    "sandbox",
    "cli",
)
LEAVES = ("integrations", "sandbox", "cli")
ENTRY = "__main__"

SHARED_WITH_SANDBOX = ("_error_codes", "_errors", "_models", "_protocol.signing")
MAX_LINES = 400
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "base"}
EXTRAS = ("PIL", "uvicorn", "cyclopts", "rich", "cv2", "httptools", "pyarrow", "obstore")

EXTRA_HOMES = {
    "_transport.fast": "httptools",
    "jobs.sinks._parquet": "pyarrow",
    "jobs.sources._parquet": "pyarrow",
    "jobs.sources._object_store": "obstore",
}
"""Modules outside the leaves that need an extra: loaded by a function, when the extra is asked for."""
OPTIONAL = {"jobs._thumbnails": "PIL"}
"""Modules that do with an extra what they can, and without it do less."""

MODULES = read_modules(Path(tencent_liveness_async.__file__).parent)
every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def _find_unknown_room(module: Module) -> Iterator[str]:
    if module.room not in {"", ENTRY, *ROOMS}:
        yield f"{module} is in no known room"


def _find_upward_imports(module: Module) -> Iterator[str]:
    if module.room in {"", ENTRY}:
        return
    for used in _internal(module):
        if used.top not in ROOMS:
            yield f"line {used.line}: {used.target or PACKAGE} is the root package, not a room"
        elif ROOMS.index(used.top) > ROOMS.index(module.room) and not _is_outcome_in_errors(module, used):
            yield f"line {used.line}: {module.room} is above {used.top}"


def _is_outcome_in_errors(module: Module, used: Import) -> bool:
    """The one exception: errors that carry an outcome name its type."""
    return module.name == "_errors" and used.reaches("_models") and used.is_type_only


def _find_absolute_imports(module: Module) -> Iterator[str]:
    for used in _internal(module):
        if not used.is_relative:
            yield f"line {used.line}: {PACKAGE}.{used.target} is imported absolutely"


def _find_homeless_http(module: Module) -> Iterator[str]:
    for used in _foreign(module, "httpx", "httpcore"):
        is_type_of_client = module.name in ("_call", "_client") and used.is_type_only
        is_sandbox_transport = module.name == "sandbox._transport"
        if module.room != "_transport" and not is_type_of_client and not is_sandbox_transport:
            yield f"line {used.line}: {used.target} outside _transport"


def _find_homeless_limiter(module: Module) -> Iterator[str]:
    yield from _find_outside(module, "aiolimiter", "_flow")


def _find_homeless_json(module: Module) -> Iterator[str]:
    yield from _find_outside(module, "orjson", "_protocol", "jobs")


def _find_homeless_base64(module: Module) -> Iterator[str]:
    yield from _find_outside(module, "pybase64", "_protocol")


def _find_homeless_extra(module: Module) -> Iterator[str]:
    for used in _foreign(module, *EXTRA_HOMES.values()):
        if EXTRA_HOMES.get(module.name) != used.top:
            yield f"line {used.line}: {used.target} outside its home"
    for used in _internal(module):
        if used.reaches(*EXTRA_HOMES) and not used.is_local and not used.is_type_only:
            yield f"line {used.line}: {used.target} is imported where its extra may be missing"


def _find_shared_with_sandbox(module: Module) -> Iterator[str]:
    if module.room != "sandbox":
        return
    for used in _internal(module):
        if not used.reaches("sandbox", *SHARED_WITH_SANDBOX):
            yield f"line {used.line}: the emulator shares {used.target} with the client"


def _find_imported_leaves(module: Module) -> Iterator[str]:
    if module.room in {"cli", ENTRY}:
        return
    for used in _internal(module):
        if used.top in LEAVES and used.top != module.room:
            yield f"line {used.line}: {used.top} is imported by nobody but cli"


def _find_excess_lines(module: Module) -> Iterator[str]:
    lines = module.source.count("\n")
    if lines >= MAX_LINES:
        yield f"{lines} lines"


def _find_empty_names(module: Module) -> Iterator[str]:
    for part in module.name.split("."):
        if part.strip("_") in EMPTY_NAMES:
            yield f"{part} says nothing"


def _find_prints(module: Module) -> Iterator[str]:
    if module.room == "cli":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}: print"


def _find_local_imports(module: Module) -> Iterator[str]:
    if module.room in LEAVES:
        return
    for used in module.imports:
        if used.is_local and not used.reaches(*EXTRA_HOMES) and OPTIONAL.get(module.name) != used.top:
            yield f"line {used.line}: {used.target} is imported inside a function"


def _find_undeclared_dependencies(module: Module) -> Iterator[str]:
    if module.room in LEAVES:
        return
    for used in module.imports:
        is_known = used.is_internal or used.is_type_only or used.top in sys.stdlib_module_names
        is_known |= used.top in (EXTRA_HOMES.get(module.name), OPTIONAL.get(module.name))
        if not is_known and used.top not in _bare_dependencies():
            yield f"line {used.line}: {used.top} is no dependency of the bare install"


def _internal(module: Module) -> Iterator[Import]:
    return (used for used in module.imports if used.is_internal)


def _foreign(module: Module, *packages: str) -> Iterator[Import]:
    return (used for used in module.imports if not used.is_internal and used.top in packages)


def _find_outside(module: Module, package: str, *rooms: str) -> Iterator[str]:
    if module.room in rooms:
        return
    for used in _foreign(module, package):
        yield f"line {used.line}: {package} outside {' and '.join(rooms)}"


def _bare_dependencies() -> set[str]:
    """Name the packages that an install without extras brings; each is imported by its own name."""
    declared = metadata.requires("tencent-liveness-async") or []
    names = (re.match(r"[\w.-]+", line) for line in declared if "extra ==" not in line)
    return {name.group().replace("-", "_").lower() for name in names if name}


@every_module
def test_module_is_in_a_known_room(module: Module) -> None:
    """Every module belongs to a room that has its place in the order."""
    assert list(_find_unknown_room(module)) == []


@every_module
def test_room_imports_only_rooms_above_it(module: Module) -> None:
    """A room imports from itself and from rooms before it in the order, never from the root."""
    assert list(_find_upward_imports(module)) == []


@every_module
def test_imports_inside_the_package_are_relative(module: Module) -> None:
    """The package never spells its own name in an import."""
    assert list(_find_absolute_imports(module)) == []


@every_module
def test_http_library_has_one_home(module: Module) -> None:
    """The HTTP libraries are imported by the transports of client and sandbox, and as types by the client."""
    assert list(_find_homeless_http(module)) == []


@every_module
def test_limiter_has_one_home(module: Module) -> None:
    """The aiolimiter package is imported only in the flow."""
    assert list(_find_homeless_limiter(module)) == []


@every_module
def test_json_library_has_its_homes(module: Module) -> None:
    """The orjson package is imported only in the protocol and in jobs."""
    assert list(_find_homeless_json(module)) == []


@every_module
def test_base64_library_has_one_home(module: Module) -> None:
    """The pybase64 package is imported only in the protocol."""
    assert list(_find_homeless_base64(module)) == []


@every_module
def test_extras_have_their_homes(module: Module) -> None:
    """What an extra brings is imported only by the modules made of it, which load when asked for."""
    assert list(_find_homeless_extra(module)) == []


@every_module
def test_sandbox_shares_little_with_the_client(module: Module) -> None:
    """The emulator cannot be wrong together with the client: it shares errors, models and signing only."""
    assert list(_find_shared_with_sandbox(module)) == []


@every_module
def test_leaves_are_imported_by_the_command_line_only(module: Module) -> None:
    """Nothing but the command line imports integrations, sandbox or cli."""
    assert list(_find_imported_leaves(module)) == []


@every_module
def test_module_is_short(module: Module) -> None:
    """A module stays under 400 lines."""
    assert list(_find_excess_lines(module)) == []


@every_module
def test_module_name_says_something(module: Module) -> None:
    """No module is a drawer for leftovers."""
    assert list(_find_empty_names(module)) == []


@every_module
def test_only_the_command_line_prints(module: Module) -> None:
    """A library writes nothing to standard output."""
    assert list(_find_prints(module)) == []


@every_module
def test_imports_are_at_the_top(module: Module) -> None:
    """Only what needs an extra is imported inside functions."""
    assert list(_find_local_imports(module)) == []


@every_module
def test_bare_rooms_need_bare_dependencies_only(module: Module) -> None:
    """What runs without extras imports only what the installed metadata requires without extras."""
    assert list(_find_undeclared_dependencies(module)) == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_root_loads_no_extra(extra: str) -> None:
    """Importing the package loads no third party that belongs to an extra."""
    # httpx loads rich for its own command line, where rich is installed: that one is not ours.
    code = f"import sys; sys.modules['httpx._main'] = None; import {PACKAGE}; print({extra!r} in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert process.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("find", "name", "source"),
    [
        (_find_unknown_room, "_drawer.thing", ""),
        (_find_upward_imports, "_errors", "from ._models import Photo"),
        (_find_upward_imports, "_errors", "if TYPE_CHECKING:\n    from ._flow import Pacer"),
        (_find_upward_imports, "_protocol.body", "from .._flow.pacer import Pacer"),
        (_find_upward_imports, "_protocol.body", "from .. import _errors, LivenessClient"),
        (_find_upward_imports, "_models", "from . import LivenessError"),
        (_find_upward_imports, "_flow.pacer", f"def pace():\n    import {PACKAGE}"),
        (_find_upward_imports, "jobs.job", "from ..sandbox import app"),
        (_find_absolute_imports, "cli.score", f"from {PACKAGE}._client import LivenessClient"),
        (_find_absolute_imports, "cli.score", f"import {PACKAGE}"),
        (_find_homeless_http, "_client", "import httpx"),
        (_find_homeless_http, "_credentials.role", "from httpcore import URL"),
        (_find_homeless_http, "sandbox.app", "import httpx"),
        (_find_homeless_limiter, "_client", "from aiolimiter import AsyncLimiter"),
        (_find_homeless_json, "_transport.pool", "import orjson"),
        (_find_homeless_base64, "jobs.ledger", "import pybase64"),
        (_find_homeless_extra, "_transport.pool", "from httptools import HttpResponseParser"),
        (_find_homeless_extra, "_client", "from ._transport.fast import FastConnection"),
        (_find_local_imports, "_transport.pool", "def open():\n    import httptools"),
        (_find_undeclared_dependencies, "_transport.pool", "import httptools"),
        (_find_shared_with_sandbox, "sandbox.app", "from .._protocol.body import build_body"),
        (_find_shared_with_sandbox, "sandbox.app", "from .._protocol import body"),
        (_find_shared_with_sandbox, "sandbox.app", "from .._client import LivenessClient"),
        (_find_imported_leaves, "jobs.job", "from ..integrations import redis"),
        (_find_imported_leaves, "sandbox.server", "from ..cli import main"),
        (_find_imported_leaves, "", "from .sandbox import app"),
        (_find_excess_lines, "_models", "\n" * MAX_LINES),
        (_find_empty_names, "_flow._utils", ""),
        (_find_empty_names, "jobs.base", ""),
        (_find_prints, "jobs.report", "def report():\n    print('done')"),
        (_find_local_imports, "_flow.retry", "class Retry:\n    def wait(self):\n        import random"),
        (_find_undeclared_dependencies, "jobs.sinks", "import pandas"),
        (_find_undeclared_dependencies, "_protocol.limits", "from PIL import Image"),
    ],
)
def test_broken_rule_is_found(find: Rule, name: str, source: str) -> None:
    """Each rule finds a module that breaks it."""
    assert list(find(Module(name, source, is_package=not name)))


@pytest.mark.parametrize(
    ("find", "name", "source"),
    [
        (_find_upward_imports, "_errors", "if TYPE_CHECKING:\n    from ._models import Outcome"),
        (_find_upward_imports, "_flow.pacer", "from .quota import Quota\nfrom . import lanes"),
        (_find_upward_imports, "cli.score", "from .._client import LivenessClient"),
        (_find_homeless_http, "_client", "if TYPE_CHECKING:\n    import httpx"),
        (_find_homeless_http, "_transport.pool", "import httpx"),
        (_find_homeless_extra, "_transport.fast", "import httptools"),
        (_find_homeless_extra, "_transport", "def load():\n    from ._transport.fast import FastConnection"),
        (_find_local_imports, "_transport", "def load():\n    from ._transport.fast import FastConnection"),
        (_find_undeclared_dependencies, "_transport.fast", "import httptools"),
        (_find_homeless_http, "sandbox._transport", "import httpx"),
        (
            _find_shared_with_sandbox,
            "sandbox.app",
            "from .._protocol.signing import sign\nfrom .faults import Fault",
        ),
        (_find_shared_with_sandbox, "sandbox.app", "from .._protocol import signing"),
        (_find_imported_leaves, "cli.demo", "from ..sandbox import app"),
        (_find_empty_names, "_protocol.database", ""),
        (_find_prints, "cli.score", "print('done')"),
        (_find_local_imports, "sandbox.server", "def serve():\n    import uvicorn"),
        (
            _find_undeclared_dependencies,
            "_flow.pacer",
            "import asyncio\nimport anyio.abc\nfrom .quota import Quota",
        ),
        (_find_undeclared_dependencies, "cli.score", "import rich"),
    ],
)
def test_kept_rule_is_not_reported(find: Rule, name: str, source: str) -> None:
    """No rule finds fault with what the design allows."""
    assert list(find(Module(name, source, is_package=not name))) == []


def test_dots_are_counted_from_the_package() -> None:
    """A dot means the own package in an `__init__` and the parent package in a module."""
    inside = Module("_flow", "from .pacer import Pacer\nfrom .._errors import LivenessError", is_package=True)
    assert [used.target for used in inside.imports] == ["_flow.pacer.Pacer", "_errors.LivenessError"]


def test_package_is_read() -> None:
    """The rules are held over the whole package, not over nothing."""
    assert {"", "_errors", "_protocol.signing"} <= {module.name for module in MODULES}
