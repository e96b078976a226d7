"""A stream that broke: what is left for it goes nowhere."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def drop_rest(stream: TextIO) -> None:
    """Let a broken stream forget what it could not write, so that it does not fail again when it is closed.

    What is written to it from here on goes nowhere.
    """
    with suppress(OSError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
