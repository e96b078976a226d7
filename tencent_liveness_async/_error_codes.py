"""Every error code the API can answer with, and what it means for the caller.

The codes, their handling and their retries come from the API page, the platform's common codes and
the official SDKs. A code that is not listed is judged by its first label.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BILLED_CODES = frozenset({"InvalidParameterValue.NoFaceInPhoto"})
"""Error codes whose calls are billed all the same, as documented for the service in general."""


class Handling(Enum):
    """What a run does when it meets an error code."""

    THROTTLE = "throttle"
    """Slow everyone down and try again, until the deadline."""
    TRANSIENT = "transient"
    """Try again with jittered back-off, at most `max_retries` times."""
    ITEM = "item"
    """Record it on the photo and go on."""
    BATCH = "batch"
    """An account, credential, billing or configuration fault: stop the run."""


class Kind(Enum):
    """What an error code is about. Fixes the handling, the error class and the advice."""

    THROTTLE = "throttle"
    TRANSIENT = "transient"
    PHOTO = "photo"
    LIBRARY = "library"
    AUTHENTICATION = "authentication"
    BILLING = "billing"
    REQUEST = "request"

    @property
    def handling(self) -> Handling:
        """What a run does with a code of this kind."""
        return _HANDLING[self]

    @property
    def advice(self) -> str:
        """What a person can do about it, in one sentence."""
        return _ADVICE[self]


@dataclass(frozen=True, slots=True)
class CodeRule:
    """What is known about one error code.

    Attributes:
        kind: What the code is about.
        max_retries: How often a call that got it is tried again; None means until the deadline.
        meaning: What it says, in one sentence.
        prefix: None if the code is listed; else the beginning of the code that the rule was derived from.
    """

    kind: Kind
    max_retries: int | None
    meaning: str
    prefix: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the code is listed."""
        return self.prefix is None

    @property
    def handling(self) -> Handling:
        """What a run does with the code."""
        return self.kind.handling

    @property
    def advice(self) -> str:
        """What a person can do about it, in one sentence."""
        return self.kind.advice


def find_code_rule(code: str) -> CodeRule:
    """Return the rule for `code`, derived from its first labels if the code is not listed."""
    rule = CODE_RULES.get(code)
    if rule is not None:
        return rule
    prefix, kind = next(pair for pair in _PREFIX_KINDS if code.startswith(pair[0]))
    return CodeRule(kind, _UNKNOWN_RETRIES.get(kind, 0), "This code is not documented.", prefix=prefix)


_HANDLING = {
    Kind.THROTTLE: Handling.THROTTLE,
    Kind.TRANSIENT: Handling.TRANSIENT,
    Kind.PHOTO: Handling.ITEM,
    Kind.LIBRARY: Handling.ITEM,
    Kind.AUTHENTICATION: Handling.BATCH,
    Kind.BILLING: Handling.BATCH,
    Kind.REQUEST: Handling.BATCH,
}

_ADVICE = {
    Kind.THROTTLE: "Lower the rate, or look for another program that uses the same account's quota.",
    Kind.TRANSIENT: "Try again later; if it lasts, give the request id to Tencent Cloud's support.",
    Kind.PHOTO: "Check this photo; the same bytes will be refused again.",
    Kind.LIBRARY: "It belongs to the person-library calls of the same service and is not expected here; "
    "give the request id to Tencent Cloud's support.",
    Kind.AUTHENTICATION: "Check the secret id, the secret key, the token, the key's CAM policy "
    "and this machine's clock.",
    Kind.BILLING: "Check in the console that the account is paid up and the service is activated.",
    Kind.REQUEST: "Check the client's endpoint, region and model version, and that the client is up to date.",
}

_UNKNOWN_RETRIES = {Kind.THROTTLE: None, Kind.TRANSIENT: 3}

_PREFIX_KINDS = (
    ("RequestLimitExceeded", Kind.THROTTLE),
    ("AuthFailure", Kind.AUTHENTICATION),
    ("UnauthorizedOperation", Kind.AUTHENTICATION),
    ("ResourceUnavailable", Kind.BILLING),
    ("ResourcesSoldOut", Kind.BILLING),
    ("UnsupportedOperation", Kind.REQUEST),
    ("InternalError", Kind.TRANSIENT),
    ("ServiceUnavailable", Kind.TRANSIENT),
    ("LimitExceeded", Kind.PHOTO),
    ("InvalidParameterValue", Kind.PHOTO),
    ("InvalidParameter", Kind.PHOTO),
    ("MissingParameter", Kind.PHOTO),
    ("FailedOperation", Kind.PHOTO),
    ("", Kind.PHOTO),
)


def _rules(kind: Kind, *rows: tuple[str, int | None, str]) -> dict[str, CodeRule]:
    return {code: CodeRule(kind, max_retries, meaning) for code, max_retries, meaning in rows}


CODE_RULES: dict[str, CodeRule] = {
    **_rules(
        Kind.THROTTLE,
        ("FailedOperation.RequestLimitExceeded", None, "The service itself is over its request rate."),
        ("RequestLimitExceeded", None, "More calls in one second than the quota allows."),
        (
            "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
            None,
            "The account is over its quota summed over all regions.",
        ),
        ("RequestLimitExceeded.IPLimitExceeded", None, "This IP address is over its quota."),
        ("RequestLimitExceeded.UinLimitExceeded", None, "The account is over its quota."),
    ),
    **_rules(
        Kind.TRANSIENT,
        ("FailedOperation", 1, "The operation failed without a closer reason."),
        ("FailedOperation.ConflictOperation", 1, "Another operation on the same object was under way."),
        ("FailedOperation.CreateFaceConcurrent", 1, "Concurrent writes to the same person collided."),
        ("FailedOperation.ImageDownloadError", 2, "The service could not download the photo from its URL."),
        ("FailedOperation.RequestTimeout", 3, "A part behind the service did not answer in time."),
        ("FailedOperation.RpcFail", 3, "A call inside the service failed."),
        ("FailedOperation.ServerError", 3, "The scoring algorithm failed."),
        ("FailedOperation.UnKnowError", 3, "The service failed for a reason it does not know."),
        ("InternalError", 3, "The service failed inside."),
        ("ResourceInUse", 1, "The resource is in use."),
        ("ResourceInsufficient", 3, "The service is short of a resource."),
        ("ResourceUnavailable", 2, "The service or one of its resources is not available."),
        ("ResourceUnavailable.GetAuthInfoError", 2, "The account's authorization data could not be read."),
        ("ResourceUnavailable.UnknownStatus", 2, "The account's billing status could not be read."),
        ("ServiceUnavailable", 5, "The service is not available for now."),
    ),
    **_rules(
        Kind.AUTHENTICATION,
        (
            "AuthFailure.InvalidAuthorization",
            0,
            "The Authorization header does not have the form the platform expects.",
        ),
        ("AuthFailure.InvalidSecretId", 0, "The secret id is not one of a Cloud API key."),
        ("AuthFailure.MFAFailure", 0, "Multi-factor authentication failed."),
        ("AuthFailure.SecretIdNotFound", 0, "No such secret id: deleted, disabled, or mistyped."),
        (
            "AuthFailure.SignatureExpire",
            1,
            "The timestamp is more than five minutes off the service's clock.",
        ),
        ("AuthFailure.SignatureFailure", 0, "The signature does not fit: most often a wrong secret key."),
        ("AuthFailure.TokenFailure", 1, "The temporary token is wrong or has expired."),
        (
            "AuthFailure.UnauthorizedOperation",
            0,
            "The key may not make this call: its CAM policy does not allow it.",
        ),
        ("IpInBlacklist", 0, "This IP address is on the account's block list."),
        ("IpNotInWhitelist", 0, "This IP address is not on the account's allow list."),
        ("UnauthorizedOperation", 0, "The key may not make this call."),
    ),
    **_rules(
        Kind.BILLING,
        ("ResourceUnavailable.ChargeStatusException", 0, "The account's billing status is abnormal."),
        ("ResourceUnavailable.Delivering", 0, "The service is still being set up for the account."),
        ("ResourceUnavailable.Freeze", 0, "The account is frozen."),
        ("ResourceUnavailable.InArrears", 0, "The account is in arrears."),
        ("ResourceUnavailable.LowBalance", 0, "The account's balance is too low."),
        ("ResourceUnavailable.NotExist", 0, "The service is not activated for the account."),
        ("ResourceUnavailable.NotReady", 0, "The service is not ready for the account."),
        ("ResourceUnavailable.Recover", 0, "The account's resource was taken back."),
        ("ResourceUnavailable.StopUsing", 0, "The service is suspended for the account."),
        ("ResourcesSoldOut.ChargeStatusException", 0, "The account's billing status is abnormal."),
    ),
    **_rules(
        Kind.REQUEST,
        ("ActionOffline", 0, "The action was taken offline."),
        ("DryRunOperation", 0, "The request was a dry run and would have succeeded."),
        ("InvalidAction", 0, "The action does not exist."),
        (
            "InvalidParameterValue.FaceModelVersionIllegal",
            0,
            "The face model version is not one the service knows.",
        ),
        ("InvalidRequest", 0, "The request is not well formed."),
        ("LimitExceeded", 2, "A limit of the account was exceeded."),
        ("MissingParameter", 0, "A parameter that the platform requires is missing."),
        ("NoSuchProduct", 0, "The product does not exist."),
        ("NoSuchVersion", 0, "The API version does not exist."),
        ("UnknownParameter", 0, "The request has a parameter the API does not know."),
        ("UnsupportedOperation", 0, "The operation is not supported."),
        ("UnsupportedOperation.UnknowMethod", 0, "The method is not known."),
        ("UnsupportedProtocol", 0, "Only HTTPS with GET or POST is accepted."),
        ("UnsupportedRegion", 0, "The API is not offered in this region."),
    ),
    **_rules(
        Kind.PHOTO,
        ("FailedOperation.FaceQualityNotQualified", 0, "The face is not good enough to be judged."),
        ("FailedOperation.FaceSizeTooSmall", 0, "The face is smaller than 100 x 100 pixels."),
        (
            "FailedOperation.ImageDecodeFailed",
            0,
            "The photo cannot be decoded: damaged, or not PNG, JPEG or BMP.",
        ),
        ("FailedOperation.ImageFacedetectFailed", 0, "Looking for a face in the photo failed."),
        (
            "FailedOperation.ImageResolutionExceed",
            0,
            "The photo's long side is over 4000 pixels (JPEG) or 2000 pixels (others).",
        ),
        ("FailedOperation.ImageResolutionTooSmall", 0, "The photo's short side is under 64 pixels."),
        ("FailedOperation.ImageSizeExceed", 0, "The photo is over 5 MB after Base64."),
        ("InvalidParameter", 0, "A parameter is wrong."),
        ("InvalidParameter.InvalidParameter", 0, "A parameter is wrong."),
        ("InvalidParameterValue", 0, "A parameter has a wrong value."),
        ("InvalidParameterValue.ImageEmpty", 0, "The photo is empty."),
        ("InvalidParameterValue.ImageEmptyError", 0, "The photo is empty."),
        ("InvalidParameterValue.NoFaceInPhoto", 0, "No face was found in the photo. This call is billed."),
        ("InvalidParameterValue.UrlIllegal", 0, "The URL is not well formed."),
        ("MissingParameter.ErrorParameterEmpty", 0, "Neither a photo nor a URL was sent, or it was empty."),
        ("RequestSizeLimitExceeded", 0, "The request is larger than the platform takes."),
        ("ResourceNotFound", 0, "The resource does not exist."),
        ("ResponseSizeLimitExceeded", 0, "The answer would be larger than the platform sends."),
    ),
    **dict.fromkeys(
        (
            "FailedOperation.AcrossVersionsError",
            "FailedOperation.CompareFail",
            "FailedOperation.DuplicatedGroupDescription",
            "FailedOperation.GroupCannotUpgrade",
            "FailedOperation.GroupInDeletedState",
            "FailedOperation.GroupLostFaces",
            "FailedOperation.GroupPersonMapExist",
            "FailedOperation.GroupPersonMapNotExist",
            "FailedOperation.JobCannnotRollback",
            "FailedOperation.LifePhotoDetectFaces",
            "FailedOperation.LifePhotoDetectFake",
            "FailedOperation.LifePhotoDetectNoFaces",
            "FailedOperation.LifePhotoSizeError",
            "FailedOperation.SearchFacesExceed",
            "FailedOperation.UpgradeJobIdNotExist",
            "InvalidParameterValue.AccountFaceNumExceed",
            "InvalidParameterValue.DeleteFaceNumExceed",
            "InvalidParameterValue.FaceMatchThresholdIllegal",
            "InvalidParameterValue.GroupExDescriptionsExceed",
            "InvalidParameterValue.GroupExDescriptionsNameIdentical",
            "InvalidParameterValue.GroupExDescriptionsNameIllegal",
            "InvalidParameterValue.GroupExDescriptionsNameTooLong",
            "InvalidParameterValue.GroupFaceNumExceed",
            "InvalidParameterValue.GroupIdAlreadyExist",
            "InvalidParameterValue.GroupIdIllegal",
            "InvalidParameterValue.GroupIdNotExist",
            "InvalidParameterValue.GroupIdNotExists",
            "InvalidParameterValue.GroupIdTooLong",
            "InvalidParameterValue.GroupIdsExceed",
            "InvalidParameterValue.GroupNameAlreadyExist",
            "InvalidParameterValue.GroupNameIllegal",
            "InvalidParameterValue.GroupNameTooLong",
            "InvalidParameterValue.GroupNumExceed",
            "InvalidParameterValue.GroupNumPerPersonExceed",
            "InvalidParameterValue.GroupTagIllegal",
            "InvalidParameterValue.GroupTagTooLong",
            "InvalidParameterValue.LimitExceed",
            "InvalidParameterValue.NoFaceInGroups",
            "InvalidParameterValue.OffsetExceed",
            "InvalidParameterValue.PersonExDescriptionInfosExceed",
            "InvalidParameterValue.PersonExDescriptionsNameIdentical",
            "InvalidParameterValue.PersonExDescriptionsNameIllegal",
            "InvalidParameterValue.PersonExDescriptionsNameTooLong",
            "InvalidParameterValue.PersonExistInGroup",
            "InvalidParameterValue.PersonFaceNumExceed",
            "InvalidParameterValue.PersonGenderIllegal",
            "InvalidParameterValue.PersonIdAlreadyExist",
            "InvalidParameterValue.PersonIdIllegal",
            "InvalidParameterValue.PersonIdNotExist",
            "InvalidParameterValue.PersonIdTooLong",
            "InvalidParameterValue.PersonNameIllegal",
            "InvalidParameterValue.PersonNameTooLong",
            "InvalidParameterValue.QualityControlIllegal",
            "InvalidParameterValue.SearchPersonsExceed",
            "InvalidParameterValue.UniquePersonControlIllegal",
            "InvalidParameterValue.UnsupportedGroupFaceModelVersion",
            "InvalidParameterValue.UploadFaceNumExceed",
            "LimitExceeded.ErrorFaceNumExceed",
        ),
        CodeRule(Kind.LIBRARY, 0, "An error of the calls that manage persons, groups or faces."),
    ),
}
"""All 131 codes the API and the platform list, by code."""
