"""What is raised when there is no source to read from."""

from __future__ import annotations

from ..._errors import LivenessError


class SourceError(LivenessError):
    """A source cannot be opened, or its listing cannot go on. The message says why and what to do.

    A photo that cannot be read is not this: it is an item with an error.
    """
