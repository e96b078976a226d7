"""From what a person writes to a source."""

from __future__ import annotations

import os
import stat
import sys
import tarfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from ..._errors import ConfigurationError
from .._records import Item
from ._archives import open_tar, open_zip
from ._batches import BatchedSource, batch_items, give_one
from ._csv import open_csv
from ._errors import SourceError
from ._folder import make_file_item, walk_folder
from ._lines import open_input, open_lines
from ._names import Selection, is_url, show_url
from ._rows import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from .._records import Source

_CSV = (".csv", ".csv.gz")
_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_TAR = (".tar", ".tar.gz", ".tgz")


def open_source(
    text: str,
    *,
    pattern: str | None = None,
    is_sorted: bool = True,
    is_recursive: bool = True,
    columns: Columns | None = None,
    endpoint: str | None = None,
    stdin: BinaryIO | None = None,
) -> Source:
    """Open what photos come from, by what it is called and what it is.

    A folder; a single file; `-` for standard input with a JSON object, a path or a URL on each line; a
    manifest (`.csv`, `.jsonl`, `.ndjson`, each also with `.gz`, `.parquet`) or an archive (`.tar`,
    `.tar.gz`, `.tgz`, `.zip`) by its suffix; `s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX?region=REGION`;
    a single http(s) URL.

    It blocks: on the disk for the first lines, on the network for the first page of a bucket, and on
    standard input until a first line is there. In an event loop, call it in a thread.

    Keys of a bucket come from the environment: `TENCENTCLOUD_SECRET_ID`, `TENCENTCLOUD_SECRET_KEY` and
    `TENCENTCLOUD_TOKEN` for COS, `AWS_...` for others. A prefix is a folder: `a` does not mean `ab/`.

    Args:
        text: What a person wrote.
        pattern: Which files of a folder, an archive or a bucket are photos, as in `fnmatch`, matched with
            the path inside it; `*` matches slashes, too. By default those that end in .jpg, .jpeg, .png
            or .bmp. Hidden ones never are.
        is_sorted: Whether a folder's photos come in the order of their names. Without it the first come
            at once, and a folder of a million costs no memory instead of 70 MB.
        is_recursive: Whether folders inside count, too.
        columns: How a manifest's columns are called. By default `id`, `path`, `url`, `bytes`, `version`.
        endpoint: The address of an object store; of COS, the bucket's own. By default that of the region.
        stdin: What `-` stands for; by default this process's standard input.

    Raises:
        SourceError: It cannot be opened; nothing was read from it.
        ConfigurationError: It needs an extra that is not installed.
    """
    selection = Selection.of(pattern, is_recursive=is_recursive)
    columns = columns or Columns()
    if text == "-":
        return open_input(stdin or sys.stdin.buffer, columns)
    if text.lower().startswith(("s3://", "cos://")):
        return _open_bucket(text, selection, endpoint)
    if is_url(text):
        shown = show_url(text)
        return BatchedSource(shown, give_one(Item(id=shown, source=shown, url=text)))
    path = os.path.abspath(text)  # noqa: PTH100 - the ledger must know it from any folder; links stay
    with _explaining(text):
        if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - as above
            os.scandir(path).close()
            return BatchedSource(path, batch_items(walk_folder(path, selection, is_sorted=is_sorted)))
        return _open_file(path, selection, columns)


def _open_file(path: str, selection: Selection, columns: Columns) -> Source:
    name = path.lower()
    if name.endswith(_CSV):
        return open_csv(path, columns)
    if name.endswith(_LINES):
        return open_lines(path, columns)
    if name.endswith(".parquet"):
        return _open_parquet(path, columns)
    if name.endswith(_TAR):
        return open_tar(path, selection)
    if name.endswith(".zip"):
        return open_zip(path, selection)
    return BatchedSource(path, give_one(make_file_item(*os.path.split(path))))


def _open_parquet(path: str, columns: Columns) -> Source:
    try:
        from ._parquet import open_parquet
    except ImportError as exc:
        raise ConfigurationError(
            "Parquet manifests need an extra: pip install 'tencent-liveness-async[parquet]'"
        ) from exc
    return open_parquet(path, columns)


def _open_bucket(text: str, selection: Selection, endpoint: str | None) -> Source:
    try:
        from ._object_store import open_bucket
    except ImportError as exc:
        raise ConfigurationError(
            "object stores need an extra: pip install 'tencent-liveness-async[cos]'"
        ) from exc
    return open_bucket(text, selection, endpoint=endpoint)


@contextmanager
def _explaining(text: str) -> Iterator[None]:
    """Make one error of all that keeps a file from being opened."""
    try:
        yield
    except FileNotFoundError as exc:
        raise SourceError(f"{text} is not there; check the path") from exc
    except PermissionError as exc:
        raise SourceError(f"{text} may not be read; check its permissions") from exc
    except (OSError, EOFError, ValueError, tarfile.TarError, BadZipFile, zlib.error) as exc:
        raise SourceError(f"{text} cannot be opened: {exc}; check that it is whole") from exc
