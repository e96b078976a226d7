from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import tencent_liveness_async as package

if TYPE_CHECKING:
    from collections.abc import Iterator

FUTURE = {"annotations"}  # what `from __future__ import annotations` leaves in a module
HELPERS = {"TYPE_CHECKING", "import_module"}


def _find_public_objects() -> Iterator[tuple[str, object]]:
    """Give each public class and function, and the public methods and properties of the classes."""
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            yield name, value
        if inspect.isclass(value):
            for member in vars(value):
                found = inspect.getattr_static(value, member)
                if not member.startswith("_") and _is_code(found):
                    yield f"{name}.{member}", getattr(value, member)


def _is_code(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)


PUBLIC_OBJECTS = dict(_find_public_objects())


def test_all_names_what_is_exported() -> None:
    """`__all__` has every public name of the root package, and no other."""
    names = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    late = set(package._LOADED_LATE)
    assert set(package.__all__) == (names - FUTURE - HELPERS) | late | {"__version__"}


def test_the_client_is_loaded_when_it_is_asked_for() -> None:
    """Importing the package alone does not import httpx, and an unknown name is an AttributeError."""
    code = "import sys, tencent_liveness_async; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="NoSuchName"):
        package.NoSuchName  # noqa: B018 - asking is the test


def test_no_module_is_public_by_accident() -> None:
    """A module that importing the root package brings in has a private name."""
    root_imports = {name for name, value in vars(package).items() if isinstance(value, ModuleType)}
    folders = {"cli", "integrations", "jobs", "sandbox"}
    assert not [name for name in root_imports - folders if not name.startswith("_")]


def test_all_has_no_name_twice() -> None:
    """`__all__` names nothing twice."""
    assert len(set(package.__all__)) == len(package.__all__)


@pytest.mark.parametrize("name", package.__all__)
def test_name_can_be_imported(name: str) -> None:
    """Every name of `__all__` is there."""
    assert getattr(importlib.import_module("tencent_liveness_async"), name) is not None


@pytest.mark.parametrize("name", PUBLIC_OBJECTS)
def test_public_name_has_a_docstring(name: str) -> None:
    """Every public class, function, method and property says what it is."""
    text = PUBLIC_OBJECTS[name].__doc__
    assert text
    assert not text.startswith(f"{name}("), "a dataclass without a docstring gets one made of its fields"


def test_version_is_the_installed_one() -> None:
    """The version in the code is the version of the installed distribution."""
    assert package.__version__ == metadata.version("tencent-liveness-async")
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab.]\w+)?", package.__version__)
