"""One photo's call: its body, its signature, its exchange, its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ._errors import AuthenticationError, ConfigurationError, StaleConnectionError, TransportError
from ._protocol.body import RequestBody, build_image_body, build_url_body
from ._protocol.limits import check_photo, check_url
from ._protocol.request import RequestSettings, build_headers
from ._protocol.response import MAX_RESPONSE_BYTES, parse_response
from ._transport import Answer, Timeouts, exchange
from ._upload import PhotoBody, PhotoBytes, PhotoContent, Uploads

if TYPE_CHECKING:
    from collections.abc import Hashable

    import httpx

    from ._credentials import Credential, CredentialProvider
    from ._flow import ServiceClock
    from ._models import LivenessScore, Photo
    from ._protocol.endpoint import Endpoint, Endpoints

_INLINE_BYTES = 65_536
"""A photo up to this size is encoded and hashed in the loop: it takes less than handing it to a thread."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What calls of one client have in common.

    Attributes:
        request: The region and language.
        timeouts: Seconds for the parts of one attempt.
        threshold: The score, 0 to 100, from which `is_live()` says yes.
        deadline: Seconds for a photo's waiting and attempts together.
        model_version: The face model that shall judge; None leaves it to the service.
        is_signed: Whether the signature covers the body.
        is_shared: Whether equal photos in flight share their attempts.
        billed_codes: Error codes whose calls are billed.
    """

    request: RequestSettings
    timeouts: Timeouts
    threshold: float
    deadline: float
    model_version: str | None
    is_signed: bool
    is_shared: bool
    billed_codes: frozenset[str]

    def __post_init__(self) -> None:
        if not self.deadline > 0:
            raise ConfigurationError(f"the deadline must be over 0 seconds, not {self.deadline}")
        if not 0 <= self.threshold <= 100:
            raise ConfigurationError(f"the threshold must be from 0 to 100, not {self.threshold}")

    def replace(
        self,
        *,
        threshold: float | None = None,
        deadline: float | None = None,
        model_version: str | None = None,
    ) -> CallOptions:
        """Return a copy with what is not None replaced."""
        if threshold is None and deadline is None and model_version is None:
            return self
        return replace(
            self,
            threshold=self.threshold if threshold is None else threshold,
            deadline=self.deadline if deadline is None else deadline,
            model_version=self.model_version if model_version is None else model_version,
        )


@dataclass(frozen=True, slots=True)
class Wire:
    """What every call is signed with and sent over.

    Attributes:
        credentials: Asked for the credential before each attempt.
        clock: Gives the timestamp of each attempt.
        endpoints: Where attempts go.
        transport: Carries the requests.
        uploads: What the large photos share.
    """

    credentials: CredentialProvider
    clock: ServiceClock
    endpoints: Endpoints
    transport: httpx.AsyncBaseTransport
    uploads: Uploads


class ScoreCall:
    """The call for one photo: makes its body once, signs and sends it as often as asked."""

    def __init__(self, wire: Wire, options: CallOptions, photo: Photo) -> None:
        self.photo = photo
        self._wire = wire
        self._options = options
        self._body: RequestBody
        self._photo_body: PhotoBody | None = None
        self._credential: Credential

    async def prepare(self) -> None:
        """Read, check, encode and hash the photo; in a thread unless it is small and in memory.

        Raises:
            PhotoError: It cannot be read or breaks a limit.
        """
        is_small = self.photo.path is None and len(self.photo.data or b"") <= _INLINE_BYTES
        self._body = self._build_small_body() if is_small else await self._build_large_body()

    @property
    def key(self) -> Hashable:
        """What equal calls have in common; None if this one shares with no other."""
        options = self._options
        if not options.is_shared or not options.is_signed:  # without a signature nothing was hashed
            return None
        return self._body.sha256, options.threshold, options.request

    async def authenticate(self) -> Hashable:
        """Take the credential that the next attempt is signed with, and return what tells it from others.

        Raises:
            MissingCredentialsError: There is none.
        """
        self._credential = credential = await self._wire.credentials.get()
        return credential.secret_id, credential.token

    async def send(self, seconds: float) -> LivenessScore:
        """Sign and send the body, and return the score in the answer.

        Raises:
            LivenessError: There was no score.
        """
        endpoint = self._wire.endpoints.current
        try:
            answer = await self._exchange(endpoint, seconds)
            return self._parse(answer)
        except StaleConnectionError:
            raise
        except TransportError:
            self._wire.endpoints.note_failure(endpoint)
            raise

    async def _exchange(self, endpoint: Endpoint, seconds: float) -> Answer:
        wire, options, credential = self._wire, self._options, self._credential
        return await exchange(
            wire.transport,
            endpoint.url,
            headers=build_headers(
                self._body,
                options.request,
                host=endpoint.host,
                secret_id=credential.secret_id,
                secret_key=credential.secret_key,
                token=credential.token,
                timestamp=wire.clock.timestamp(),
            ),
            content=self._body.content,
            timeouts=options.timeouts,
            seconds=seconds,
            max_response_bytes=MAX_RESPONSE_BYTES,
        )

    def _parse(self, answer: Answer) -> LivenessScore:
        options = self._options
        try:
            return parse_response(
                answer.content,
                status=answer.status,
                threshold=options.threshold,
                billed_codes=options.billed_codes,
            )
        except AuthenticationError as exc:
            if exc.code == "AuthFailure.SignatureExpire":
                self._wire.clock.adjust(answer.date)
            raise

    def close(self) -> None:
        """Let go of the photo."""
        if self._photo_body is not None:
            self._photo_body.close()

    def _build_small_body(self) -> RequestBody:
        photo, options = self.photo, self._options
        if photo.url is not None:
            check_url(photo.url, name=photo.name)
            return build_url_body(photo.url, model_version=options.model_version, is_signed=options.is_signed)
        check_photo(photo.data or b"", name=photo.name)
        return build_image_body(
            photo.data or b"", model_version=options.model_version, is_signed=options.is_signed
        )

    async def _build_large_body(self) -> RequestBody:
        photo, options, uploads = self.photo, self._options, self._wire.uploads
        if photo.path is None:
            content: PhotoContent = PhotoBytes(photo.data or b"")
        else:
            content = await uploads.open(photo.path, name=photo.name)
        self._photo_body = PhotoBody(content, uploads, name=photo.name, model_version=options.model_version)
        if content.size <= _INLINE_BYTES:
            return self._photo_body.prepare(is_signed=options.is_signed)
        return await uploads.prepare(self._photo_body, is_signed=options.is_signed)
