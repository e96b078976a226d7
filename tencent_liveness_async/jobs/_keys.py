"""A photo's key: what makes two photos the same for the ledger."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ._records import Item

_READ_BYTES = 1024 * 1024


def make_bytes_key(data: bytes, parameters: str) -> str:
    """Return the key of a photo's bytes, judged with these parameters."""
    return _join(sha256(data).hexdigest(), parameters)


def make_file_key(path: Path, parameters: str) -> str:
    """Return the key of a file's bytes; it is read once, in steps, and not held.

    Raises:
        OSError: It cannot be read.
    """
    digest = sha256()
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
    return _join(digest.hexdigest(), parameters)


def make_url_key(item: Item, parameters: str) -> str:
    """Return the key of a URL; its content is not known here, so its version is part of it."""
    text = f"url:{item.url}\n{item.version}"
    return _join(sha256(text.encode()).hexdigest(), parameters)


def make_item_key(item: Item) -> str:
    """Return a key for an item that has no content: it cannot be read."""
    return sha256(f"item:{item.id}\n{item.source}".encode()).hexdigest()


def _join(digest: str, parameters: str) -> str:
    return digest if not parameters else sha256(f"{digest}\n{parameters}".encode()).hexdigest()
