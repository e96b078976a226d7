"""Which files are photos, and how they are called without secrets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import translate
from hashlib import sha256
from posixpath import splitext

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
"""What the service accepts."""

_USER_INFO = re.compile(r"(?<=://)[^/]*@")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which names of a folder, an archive or a bucket are photos.

    Attributes:
        pattern: What a name has to match; None takes the usual suffixes.
        is_recursive: Whether names inside inner folders count.
    """

    pattern: re.Pattern[str] | None = None
    is_recursive: bool = True

    @classmethod
    def of(cls, pattern: str | None, *, is_recursive: bool) -> Selection:
        """Make a selection of a pattern as in `fnmatch`, in which `*` also stands for slashes."""
        return cls(None if pattern is None else re.compile(translate(pattern)), is_recursive)

    def takes(self, name: str) -> bool:
        """Say whether a name, relative and with slashes, is a photo's. Hidden ones never are."""
        if name.startswith(".") or "/." in name:
            return False
        if "/" in name and not self.is_recursive:
            return False
        if self.pattern is not None:
            return self.pattern.match(name) is not None
        return splitext(name)[1].lower() in PHOTO_SUFFIXES


def is_url(text: str) -> bool:
    """Say whether the service downloads it."""
    return text[:8].lower().startswith(("http://", "https://"))


def show_url(url: str) -> str:
    """Return a URL without user, password and query; a digest stands for the query.

    Two URLs that differ in the query alone stay two, or one would get the other's score.
    """
    bare, mark, _ = url.partition("?")
    shown = _USER_INFO.sub("", bare) if "@" in bare else bare
    return f"{shown}?sha256={sha256(url.encode(errors='replace')).hexdigest()[:16]}" if mark else shown


def clean_name(name: str) -> str:
    """Return a name that every writer takes: bytes of a file name that are no UTF-8 become escapes."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def describe_version(path: str) -> str:
    """Return size and time of a file, `SIZE:NANOSECONDS`; empty if they cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a million Path objects cost a second
    except (OSError, ValueError):
        return ""
    return f"{status.st_size}:{status.st_mtime_ns}"
