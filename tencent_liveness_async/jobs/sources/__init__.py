"""Where photos come from: folders, files, manifests, archives, object stores, standard input."""

from __future__ import annotations

from ._errors import SourceError
from ._opening import open_source
from ._rows import Columns

__all__ = ["Columns", "SourceError", "open_source"]
