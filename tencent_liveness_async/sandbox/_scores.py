"""Scores that judge nothing: they follow from the photo's bytes, or the URL's text, and a seed."""

from __future__ import annotations

from hashlib import sha256

_STEPS = 10_001


def invent_score(key: str, *, seed: int) -> float:
    """Return the score of a photo, from 0 to 100 with two decimals.

    It is the first 8 bytes, big-endian, of the SHA-256 of `SEED:KEY`, modulo 10001, over 100.

    Args:
        key: The SHA-256 of the photo's bytes in hexadecimal digits, or the URL's text.
        seed: Changes all scores.
    """
    digest = sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8]) % _STEPS / 100
