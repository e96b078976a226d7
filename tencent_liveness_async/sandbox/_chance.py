"""Draws that depend on a seed and a name, never on timing or on what was drawn before."""

from __future__ import annotations

from hashlib import blake2b

_RANGE = 1 << 64


def draw(seed: int, name: str) -> float:
    """Return the number from 0 (included) to 1 (excluded) that belongs to `seed` and `name`."""
    digest = blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _RANGE
