"""What the modules of a package import, read from their source without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = "tencent_liveness_async"


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        target: Dotted name of what is imported, inside the package from its root on: `_flow.pacer.Pacer`.
        line: Line of the statement.
        is_internal: Whether it is part of the package.
        is_relative: Whether it is written with dots.
        is_type_only: Whether only the type checker sees it.
        is_local: Whether it is inside a function.
    """

    target: str
    line: int
    is_internal: bool
    is_relative: bool
    is_type_only: bool
    is_local: bool

    @property
    def top(self) -> str:
        """Name of the room, or of the foreign package."""
        return self.target.partition(".")[0]

    def reaches(self, *modules: str) -> bool:
        """Whether it is one of these modules or inside one."""
        return any(f"{self.target}.".startswith(f"{module}.") for module in modules)


@dataclass(frozen=True)
class Module:
    """One module.

    Attributes:
        name: Dotted name from the package's root on, empty for the root itself.
        source: Its text.
        is_package: Whether it is an `__init__`.
    """

    name: str
    source: str
    is_package: bool = False

    def __str__(self) -> str:
        return self.name or "(root)"

    @property
    def room(self) -> str:
        """The room it is in, empty for the root."""
        return self.name.partition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.source)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every name it imports, wherever the statement is."""
        return tuple(self._find_imports(self.tree, is_type_only=False, is_local=False))

    def _find_imports(self, node: ast.AST, *, is_type_only: bool, is_local: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target, is_relative in self._name_targets(node):
                is_internal = is_relative or target.partition(".")[0] == PACKAGE
                yield Import(
                    target=target.removeprefix(PACKAGE).lstrip(".") if is_internal else target,
                    line=node.lineno,
                    is_internal=is_internal,
                    is_relative=is_relative,
                    is_type_only=is_type_only,
                    is_local=is_local,
                )
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in node.body:
                yield from self._find_imports(statement, is_type_only=True, is_local=is_local)
            for statement in node.orelse:
                yield from self._find_imports(statement, is_type_only=is_type_only, is_local=is_local)
            return
        inside = is_local or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from self._find_imports(child, is_type_only=is_type_only, is_local=inside)

    def _name_targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
            return
        origin = node.module or ""
        if node.level:
            origin = ".".join(part for part in (*self._find_package(node.level), origin) if part)
        for alias in node.names:
            yield f"{origin}.{alias.name}".lstrip("."), node.level > 0

    def _find_package(self, level: int) -> list[str]:
        """Name the package that so many dots lead to."""
        parts = self.name.split(".") if self.name else []
        steps = level - 1 if self.is_package else level
        if steps > len(parts):
            raise ValueError(f"{self}: {level} dots lead out of the package")
        return parts[: len(parts) - steps]


def read_modules(package_path: Path) -> list[Module]:
    """Read every module of an installed package, the root first."""
    modules = []
    for path in sorted(package_path.rglob("*.py")):
        parts = path.relative_to(package_path).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return modules
