"""Buckets of S3-compatible object stores, Tencent COS first; needs the extra `cos`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import anyio
from obstore.exceptions import BaseError, GenericError
from obstore.store import S3Store

from ..._credentials.environment import SECRET_ID_VARIABLE, SECRET_KEY_VARIABLE, TOKEN_VARIABLES
from ..._errors import PhotoUnreadableError
from .._records import Item
from ._batches import check_size, make_unreadable
from ._errors import SourceError
from ._names import clean_name, show_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from obstore import ListStream, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

    from ._names import Selection

_PAGE = 1_000
_READERS = 16
"""Objects that are read at once; a store answers in 20 to 100 ms, so this is enough for the usual rate."""
_TRIES = 5
"""Where one read in 20 fails, three tries would lose one object in 8,000, five one in three million."""
_RETRY_SECONDS = 60
_AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in a bucket.

    Attributes:
        scheme: `cos` or `s3`.
        bucket: Its name, for COS with the account's number: `photos-1250000000`.
        prefix: The folder, without slashes at its ends; empty for all.
        region: As the store calls it; empty if not given.
    """

    scheme: str
    bucket: str
    prefix: str
    region: str

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `cos://bucket/prefix?region=...`.

        Raises:
            SourceError: It has no bucket, or more than a region in its query.
        """
        parts = urlsplit(text)
        query = parse_qs(parts.query, keep_blank_values=True)
        regions = query.pop("region", [""])
        shown = show_url(text.partition("?")[0])
        if not parts.netloc or "@" in parts.netloc or query:
            raise SourceError(
                f"{shown} names no bucket; write {parts.scheme}://BUCKET/PREFIX?region=REGION, "
                "and put the keys into the environment"
            )
        return cls(parts.scheme, parts.netloc, unquote(parts.path).strip("/"), regions[0])

    @property
    def url(self) -> str:
        """How messages call it."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}"


class ObjectStoreSource:
    """The photos of a bucket's folder, listed by pages as they are asked for. Made by `open_bucket`."""

    extra_columns: Sequence[str] = ()

    def __init__(
        self,
        name: str,
        place: Place,
        store: S3Store,
        pages: ListStream[Sequence[ObjectMeta]],
        first: Sequence[ObjectMeta],
        *,
        selection: Selection,
    ) -> None:
        self.name = name
        self._place = place
        self._store = store
        self._pages = pages
        self._first = first
        self._selection = selection
        self._limiter = anyio.CapacityLimiter(_READERS)

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        """Give the photos of each page.

        Raises:
            SourceError: The listing failed; a later run begins it again.
        """
        page: Sequence[ObjectMeta] | None = self._first
        while page is not None:
            if items := self._make_items(page):
                yield items
            try:
                page = await anext(self._pages, None)
            except BaseError as exc:
                raise SourceError(f"listing {self._place.url} failed: {_shorten(exc)}; run again") from exc

    async def aclose(self) -> None:
        """Do nothing: connections close when the source is forgotten."""

    def _make_items(self, page: Sequence[ObjectMeta]) -> list[Item]:
        start = len(self._place.prefix) + 1 if self._place.prefix else 0
        names = ((entry, entry["path"][start:]) for entry in page)
        return [self._make_item(entry, name) for entry, name in names if self._selection.takes(name)]

    def _make_item(self, entry: ObjectMeta, name: str) -> Item:
        source = f"{self._place.scheme}://{self._place.bucket}/{entry['path']}"
        if reason := check_size(entry["size"]):
            return make_unreadable(clean_name(name), source, reason)
        tag = entry["e_tag"] or ""
        load = partial(self._load, entry["path"], source, tag)
        return Item(id=clean_name(name), source=source, load=load, version=tag.strip('"'))

    async def _load(self, key: str, source: str, tag: str) -> bytes:
        """Read an object as it was listed: another content must not get this one's version."""
        try:
            async with self._limiter:
                return await self._read(key, tag)
        except (BaseError, OSError) as exc:
            raise PhotoUnreadableError(f"{source} cannot be read: {_shorten(exc)}") from exc

    async def _read(self, key: str, tag: str) -> bytes:
        """Read an object. The store's client tries again what is refused, but not a body that is cut off."""
        tries = 0
        while True:
            answer = await self._store.get_async(key, options={"if_match": tag} if tag else None)
            try:
                return bytes(await answer.bytes_async())
            except GenericError:
                tries += 1
                if tries == _TRIES:
                    raise


def open_bucket(text: str, selection: Selection, *, endpoint: str | None) -> ObjectStoreSource:
    """Open a folder of a bucket and read the first page of its list.

    Raises:
        SourceError: No credentials, no such bucket, or the store cannot be reached.
    """
    place = Place.parse(text)
    store = _make_cos(place, endpoint) if place.scheme == "cos" else _make_s3(place, endpoint)
    try:
        pages = store.list(place.prefix or None, chunk_size=_PAGE)
        first = next(pages, ())
    except BaseError as exc:
        raise SourceError(
            f"{place.url} cannot be listed: {_shorten(exc)}; check bucket, region, endpoint and keys"
        ) from exc
    return ObjectStoreSource(text, place, store, pages, first, selection=selection)


def _make_cos(place: Place, endpoint: str | None) -> S3Store:
    """Make a store of COS, which takes only addresses that begin with the bucket."""
    if not place.region and endpoint is None:
        raise SourceError(f"{place.url} has no region; add one: {place.url}?region=ap-guangzhou")
    secrets = _read_cos_credential()
    endpoint = endpoint or f"https://{place.bucket}.cos.{place.region}.myqcloud.com"
    return S3Store(
        place.bucket,
        endpoint=endpoint,
        region=place.region or "auto",
        virtual_hosted_style_request=True,
        # Not the keys alone: AWS_SESSION_TOKEN in the environment would be sent with them.
        credential_provider=lambda: secrets,
        client_options=_make_client_options(endpoint),
        retry_config=_make_retries(),
    )


def _make_s3(place: Place, endpoint: str | None) -> S3Store:
    if not any(os.environ.get(name) for name in _AWS_VARIABLES):
        raise SourceError(
            f"no keys for {place.url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, "
            "or AWS_SKIP_SIGNATURE=true for a public bucket"
        )
    address = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config: S3Config = {}
    if address:
        config["endpoint"] = address
    if place.region:
        config["region"] = place.region
    return S3Store(
        place.bucket,
        config=config,
        client_options=_make_client_options(address or ""),
        retry_config=_make_retries(),
    )


def _read_cos_credential() -> S3Credential:
    secret_id, secret_key = (os.environ.get(name) for name in (SECRET_ID_VARIABLE, SECRET_KEY_VARIABLE))
    if not secret_id or not secret_key:
        raise SourceError(
            f"no keys for COS: set {SECRET_ID_VARIABLE} and {SECRET_KEY_VARIABLE} in the environment"
        )
    token = next(filter(None, map(os.environ.get, TOKEN_VARIABLES)), None)
    return {"access_key_id": secret_id, "secret_access_key": secret_key, "token": token, "expires_at": None}


def _make_client_options(endpoint: str) -> ClientConfig:
    return {"allow_http": endpoint.startswith("http://")}


def _make_retries() -> RetryConfig:
    return {"max_retries": _TRIES - 1, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}


def _shorten(exc: Exception) -> str:
    """Return the first line of an error: the others are its structure. Its URLs carry no signature."""
    return str(exc).strip().partition("\n")[0][:500]
