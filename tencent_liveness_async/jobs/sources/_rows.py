"""From the rows of a manifest to items."""

from __future__ import annotations

import base64
import os
import sqlite3
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson

from .._records import Item, Value
from ._batches import MAX_BATCH, HeldBytes, check_size, make_unreadable
from ._errors import SourceError
from ._names import clean_name, describe_version, is_url, show_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LOCATIONS = ("path", "url", "bytes")
_NO_COLUMN = "\0"
"""Names no column."""
_MAX_INTEGER = 2**63
_NO_EXTRA: Mapping[str, Value] = MappingProxyType({})
"""One for all items without carried columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the columns of a manifest are called.

    What is not given has its usual name, the attribute's own, and may be missing; what is given must be
    there. Once one of `path`, `url` and `bytes` is given, the others are columns like any other.

    Attributes:
        id: The photo's name; by default its path or URL. Needed with `bytes`.
        path: A file, relative to the manifest; an http(s) URL is taken as one.
        url: An http(s) URL that the service downloads.
        bytes: The photo itself: Base64, or binary in Parquet.
        version: Changes when the photo does; by default size and time of a file.
    """

    id: str | None = None
    path: str | None = None
    url: str | None = None
    bytes: str | None = None
    version: str | None = None

    def to_names(self) -> dict[str, str]:
        """Return the names of the columns to look for, by attribute."""
        given = {part.name: name for part in fields(self) if (name := getattr(self, part.name)) is not None}
        is_located = any(part in given for part in _LOCATIONS)
        usual = {
            part.name: part.name for part in fields(self) if not (is_located and part.name in _LOCATIONS)
        }
        return usual | given


class RowReader:
    """Makes the items of a manifest's rows.

    Args:
        manifest: Its path, for messages and for the source of bytes.
        folder: What relative paths are relative to.
        columns: How its columns are called.
        header: The columns there are; none if that is not known.
        unit: How messages call a row.

    Attributes:
        bytes_column: The column that holds photos, if there is one.

    Raises:
        SourceError: A column is missing.
    """

    def __init__(
        self, manifest: str, folder: str, columns: Columns, header: Sequence[str], *, unit: str = "line"
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._unit = unit
        self._names = columns.to_names()
        self._locations = [self._names[part] for part in _LOCATIONS if part in self._names]
        self._texts = [self._names[part] for part in ("path", "url") if part in self._names]
        self._id, self._version = self._names["id"], self._names["version"]
        self.bytes_column = self._names.get("bytes", _NO_COLUMN)
        if header:
            self._check_header(columns, header)
        self._extra = _find_extra(header, self._names.values())
        self._numbers: list[int] = []
        self._first = FirstPlaces()
        self.close = self._first.close

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """The carried columns, by the names they are carried under."""
        return tuple(self._extra)

    @property
    def used_columns(self) -> list[str]:
        """The columns that are read, by the manifest's names, with those that may be missing."""
        return [*self._names.values(), *self._extra]

    def read(self, number: int, row: Mapping[str, object]) -> Item:
        """Make the item of a row and check it by itself; checking many together is cheaper."""
        return self.check([self.make(number, row)])[0]

    def make(self, number: int, row: Mapping[str, object]) -> Item:
        """Make the item of a row, to be checked; what is wrong with it is the item's error."""
        try:
            item = self._make(row)
        except ValueError as exc:
            return self.refuse(f"{self._unit} {number}", str(exc))
        self._numbers.append(number)
        return item

    def make_of_location(self, number: int, location: str) -> Item:
        """Make the item of a path or URL without further columns, to be checked."""
        self._numbers.append(number)
        return self._locate(location, "", "", _NO_EXTRA)

    def refuse(self, place: str, reason: str) -> Item:
        """Make the item of a row that is none."""
        source = f"{self._manifest}, {place}"
        return make_unreadable(source, source, reason)

    def check(self, batch: list[Item]) -> list[Item]:
        """Put an error in place of every item whose id an earlier row has.

        Args:
            batch: All items that were made since the last check, in order; others in it have an error.
        """
        numbers, self._numbers = self._numbers, []
        first = self._first.note_all([item.id for item in batch if item.error is None], numbers)
        if first == numbers:
            return batch
        places = zip(numbers, first, strict=True)
        return [item if item.error else self._check_first(item, *next(places)) for item in batch]

    def _make(self, row: Mapping[str, object]) -> Item:
        name, version = _read_text(row, self._id), _read_text(row, self._version)
        extra = {column: _to_value(row.get(column)) for column in self._extra} if self._extra else _NO_EXTRA
        if data := row.get(self.bytes_column):
            if not name:
                raise ValueError("a photo given as bytes needs an id")
            load = HeldBytes(_decode(data))
            return Item(id=name, source=f"{self._manifest}!{name}", load=load, version=version, extra=extra)
        for column in self._texts:
            if location := _read_text(row, column):
                return self._locate(location, name, version, extra)
        raise ValueError(f"it has no {' or '.join(self._locations)}")

    def _locate(self, location: str, name: str, version: str, extra: Mapping[str, Value]) -> Item:
        if is_url(location):
            shown = show_url(location)
            # By place, in which a million cost 0.2 s less.
            return Item(name or shown, shown, None, location, None, None, version, extra)
        path = os.path.join(self._folder, location)  # noqa: PTH118 - a million Path objects cost a second
        return Item(
            id=name or clean_name(location),
            source=clean_name(path),
            path=Path(path),
            version=version or describe_version(path),
            extra=extra,
        )

    def _check_first(self, item: Item, number: int, first: int) -> Item:
        if first == number:
            return item
        place = f"{self._unit} {number}"
        return self.refuse(place, f"the id {item.id!r} is that of {self._unit} {first}; ids must differ")

    def _check_header(self, columns: Columns, header: Sequence[str]) -> None:
        repeated = sorted({name for name in header if header.count(name) > 1})
        given = [name for part in fields(columns) if (name := getattr(columns, part.name)) is not None]
        missing = [name for name in given if name not in header]
        if not missing and not any(name in header for name in self._locations):
            missing = [" or ".join(self._locations)]
        if repeated:
            raise SourceError(
                f"{self._manifest} has several columns called {', '.join(repeated)}; rename all but one"
            )
        if missing:
            raise SourceError(
                f"{self._manifest} has no column {', '.join(missing)}; its columns are {', '.join(header)}. "
                "Say with `columns` which of them hold the id and the path, url or bytes"
            )


class FirstPlaces:
    """Where each id was met first, in a temporary database: a million ids need no memory."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, place INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")
        self.close = self._database.close

    def note(self, name: str, place: int) -> int:
        """Return the place where an id was met first, which may be this one."""
        return self.note_all([name], [place])[0]

    def note_all(self, names: Sequence[str], places: list[int]) -> list[int]:
        """Return the places where ids were met first; `places`, if none of them was met before."""
        added = sum(
            self._add(names[start : start + MAX_BATCH], places[start : start + MAX_BATCH])
            for start in range(0, len(names), MAX_BATCH)
        )
        return places if added == len(names) else [self._find(name) for name in names]

    def _add(self, names: Sequence[str], places: Sequence[int]) -> int:
        """Add those ids that are new, and return how many; one statement for all is cheaper."""
        values = ", ".join(["(?, ?)"] * len(names))
        entries = tuple(chain.from_iterable(zip(names, places, strict=True)))
        return self._database.execute(f"INSERT OR IGNORE INTO ids VALUES {values}", entries).rowcount  # noqa: S608 - marks

    def _find(self, name: str) -> int:
        row = self._database.execute("SELECT place FROM ids WHERE id = ?", (name,)).fetchone()
        return int(row[0])


def _find_extra(header: Sequence[str], used: Iterable[str]) -> list[str]:
    """Return the columns to carry."""
    used = set(used)
    return [name for name in header if name and name not in used]


def _read_text(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, str):
        return "" if value.isspace() else value
    if isinstance(value, bool | int | float):
        return str(value)
    raise ValueError(f"its {column} is not text")


def _decode(data: object) -> bytes:
    match data:
        case bytes():
            photo = data
        case str():
            try:
                photo = base64.b64decode("".join(data.split()), validate=True)
            except ValueError as exc:
                raise ValueError(f"its bytes are not Base64: {exc}") from exc
        case _:
            raise ValueError("its bytes are neither Base64 nor binary")
    if reason := check_size(len(photo)):
        raise ValueError(reason)
    return photo


def _to_value(value: object) -> Value:
    match value:
        case str() | None:
            return value
        case int() if not -_MAX_INTEGER <= value < _MAX_INTEGER:
            return str(value)
        case int() | float():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case dict() | list():
            return orjson.dumps(value, default=str).decode()
        case _:
            return str(value)
