"""Every error this package raises.

    LivenessError
    ├── ConfigurationError            a setting is wrong or an extra is not installed
    │   └── MissingCredentialsError   no secret id and key were found
    ├── ClientClosedError             the client was used before it was opened or after it was closed
    ├── WrongLoopError                the client was used in another event loop than it was opened in
    ├── PhotoError                    this photo is at fault; the same one will fail again
    │   ├── PhotoUnreadableError      its file is missing or cannot be read; not sent
    │   ├── PhotoChangedError         its file was changed while it was being sent; not sent whole
    │   └── PhotoRejectedError        it breaks a limit of the API; not sent
    ├── DeadlineExceededError         the deadline passed while waiting to send
    │   └── DeadlineTooShortError     it would pass in the queue, so the photo was refused at once
    ├── RunStoppedError               an account fault ended a run; carries what was finished
    ├── TransportError                the network gave no answer
    │   ├── NotSentError              the request did not reach the service; nothing is billed
    │   │   └── ServiceUnreachableError  the network has failed for most recent calls; not sent
    │   └── OutcomeUnknownError       the request was sent and may be billed
    │       ├── StaleConnectionError  a reused connection turned out to be closed
    │       └── MalformedResponseError  the answer is not one of the API
    └── LivenessAPIError              the service answered with an error code
        ├── ThrottledError            the account's quota is used up for now
        ├── TransientAPIError         the service failed and may succeed when tried again
        ├── PhotoRefusedError         the service refuses this photo; a PhotoError, too
        │   └── NoFaceError           no face in the photo; billed
        └── AccountError              every call would fail the same way
            ├── AuthenticationError   key, signature, token, policy or clock
            ├── BillingError          arrears, frozen, not activated
            └── RequestRefusedError   action, version, region or a parameter

Every error pickles with all that it carries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._error_codes import BILLED_CODES, CodeRule, Handling, Kind, find_code_rule

if TYPE_CHECKING:
    from collections.abc import Collection

    from ._models import Outcome, Photo


class LivenessError(Exception):
    """The base of every error this package raises.

    Attributes:
        is_billed: Whether the call that ended in this error is billed; None means it is not known.
        request_id: The service's id of the call, empty if there was no answer.
    """

    is_billed: bool | None = False
    request_id: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[LivenessError], args: tuple[object, ...]) -> LivenessError:
    """Make an error without its constructor, whose arguments are not its `args`."""
    error = cls.__new__(cls)
    error.args = args
    return error


class ConfigurationError(LivenessError):
    """A setting is wrong, or an extra is not installed. The message says which and what to do."""


class MissingCredentialsError(ConfigurationError):
    """No secret id and secret key were found. The message lists where they were looked for."""


class ClientClosedError(LivenessError):
    """The client was used outside its `async with` block."""


class WrongLoopError(LivenessError):
    """The client was used in another event loop, or in another thread's, than the one it was opened in."""


class PhotoError(LivenessError):
    """This photo is at fault: not sent, or refused by the service. The same one will fail again."""


class PhotoUnreadableError(PhotoError):
    """The photo's file is missing or cannot be read."""


class PhotoChangedError(PhotoError):
    """The photo's file was changed between hashing and sending. The request was not completed."""


class PhotoRejectedError(PhotoError):
    """The photo breaks a limit of the API, found before sending.

    Attributes:
        rule: Which limit: `format`, `header`, `empty`, `encoded_size`, `long_side`, `short_side` or `url`.
        value: What the photo has.
        limit: What the API allows.
    """

    def __init__(self, message: str, *, rule: str, value: int | str, limit: int | str) -> None:
        super().__init__(message)
        self.rule = rule
        self.value = value
        self.limit = limit


class DeadlineExceededError(LivenessError):
    """The deadline passed while the photo waited to be sent, or to be sent again.

    Its cause is the last attempt's error, if there was an attempt.
    """


class DeadlineTooShortError(DeadlineExceededError):
    """The deadline would pass before the photo is sent, so it was refused at once. Nothing is billed.

    Attributes:
        estimated_wait: Seconds until it would have been sent, as the queue and the rate are now.
    """

    def __init__(self, deadline: float, *, estimated_wait: float) -> None:
        super().__init__(
            f"not sent: the wait for the quota is about {estimated_wait:.3g} s, "
            f"and the deadline is {deadline:.3g} s"
        )
        self.estimated_wait = estimated_wait


class RunStoppedError(LivenessError):
    """An account fault ended a run: every further call would have failed the same way.

    Attributes:
        error: The fault. Also the cause of this error.
        finished: Outcomes that were reached and not handed out yet, in no particular order.
        unfinished: Photos taken from the source that have no outcome and may be scored again.
    """

    def __init__(
        self,
        error: AccountError | ConfigurationError,
        *,
        finished: tuple[Outcome, ...],
        unfinished: tuple[Photo, ...],
    ) -> None:
        super().__init__(
            f"the run was stopped: {error} ({len(finished)} outcomes are in `finished`, "
            f"{len(unfinished)} photos without one in `unfinished`)"
        )
        self.error = error
        self.finished = finished
        self.unfinished = unfinished


class TransportError(LivenessError):
    """The network gave no answer."""


class NotSentError(TransportError):
    """The whole request cannot have reached the service. Nothing is billed."""


class ServiceUnreachableError(NotSentError):
    """The network, or a gateway, has failed for most recent calls, so this one was not sent.

    Now and then one call is let through to find out whether the service is back.

    Attributes:
        failed: How many of the recent calls brought no usable answer.
        calls: How many recent calls there were.
        retry_after: Seconds until it is worth asking again.
    """

    def __init__(self, reason: str, *, failed: int, calls: int, retry_after: float) -> None:
        super().__init__(
            f"not sent: {failed} of the last {calls} calls got no usable answer (the latest: {reason}); "
            f"the next call may go in {retry_after:.1f} s"
        )
        self.failed = failed
        self.calls = calls
        self.retry_after = retry_after


class OutcomeUnknownError(TransportError):
    """The request was sent and no usable answer came back. The call may be billed."""

    is_billed: bool | None = None


class StaleConnectionError(OutcomeUnknownError):
    """A reused connection was closed before any byte of an answer.

    Most often the service had closed it while it was idle, and the call was never seen.
    """


class MalformedResponseError(OutcomeUnknownError):
    """The answer is not one of the API: HTML, cut off, of wrong types, or out of range.

    Attributes:
        status: The HTTP status.
        excerpt: The first 200 bytes of the answer.
    """

    def __init__(self, reason: str, *, status: int, request_id: str = "", excerpt: bytes = b"") -> None:
        super().__init__(
            f"HTTP {status} with an answer that cannot be used: {reason}; it begins {excerpt[:80]!r}"
        )
        self.status = status
        self.request_id = request_id
        self.excerpt = excerpt


class LivenessAPIError(LivenessError):
    """The service answered with an error code.

    Attributes:
        code: The code, for example `FailedOperation.ServerError`.
        message: The service's text; not contractual, in the client's language.
        request_id: The service's id of the call; its support asks for it.
        is_billed: Whether the call is billed.
    """

    def __init__(self, code: str, message: str, *, request_id: str, is_billed: bool) -> None:
        super().__init__(f"{code}: {message} (request id {request_id or 'missing'})")
        self.code = code
        self.message = message
        self.request_id = request_id
        self.is_billed = is_billed

    @property
    def rule(self) -> CodeRule:
        """What is known about the code: handling, retries, meaning, advice."""
        return find_code_rule(self.code)

    @property
    def handling(self) -> Handling:
        """What a run does with the code."""
        return self.rule.handling


class ThrottledError(LivenessAPIError):
    """The account's quota is used up for this second."""


class TransientAPIError(LivenessAPIError):
    """The service failed and may succeed when tried again."""


class PhotoRefusedError(LivenessAPIError, PhotoError):
    """The service refuses this photo; the same bytes will be refused again."""


class NoFaceError(PhotoRefusedError):
    """No face was found in the photo. The call is billed."""


class AccountError(LivenessAPIError):
    """An account, credential, billing or configuration fault: every call would fail the same way."""


class AuthenticationError(AccountError):
    """The key, the signature, the token, the key's policy or the clock is wrong."""


class BillingError(AccountError):
    """The account is in arrears, frozen, or the service is not activated."""


class RequestRefusedError(AccountError):
    """The action, the version, the region or a parameter is not accepted."""


RUN_FAULTS = (AccountError, ConfigurationError)
"""Errors that end a run: every further call would fail the same way."""

_ERROR_CLASSES: Final[dict[Kind, type[LivenessAPIError]]] = {
    Kind.THROTTLE: ThrottledError,
    Kind.TRANSIENT: TransientAPIError,
    Kind.PHOTO: PhotoRefusedError,
    Kind.LIBRARY: PhotoRefusedError,
    Kind.AUTHENTICATION: AuthenticationError,
    Kind.BILLING: BillingError,
    Kind.REQUEST: RequestRefusedError,
}


def find_error_class(code: str) -> type[LivenessAPIError]:
    """Return the class of the error that `code` becomes."""
    if code == "InvalidParameterValue.NoFaceInPhoto":
        return NoFaceError
    return _ERROR_CLASSES[find_code_rule(code).kind]


def make_api_error(
    code: str, message: str, *, request_id: str = "", billed_codes: Collection[str] = BILLED_CODES
) -> LivenessAPIError:
    """Make the error of the class that `code` belongs to."""
    error_class = find_error_class(code)
    return error_class(code, message, request_id=request_id, is_billed=code in billed_codes)
