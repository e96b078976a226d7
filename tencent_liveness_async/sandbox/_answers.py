"""Answers in the API's envelope, with texts of our own in two languages."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from .._error_codes import Kind, find_code_rule
from ._statistics import OK

ACTION = "DetectLiveFaceAccurate"
MODEL_VERSION = "3.0"
CHINESE = "zh-CN"

_THROTTLE_ENGLISH = (
    "The number of calls to `{action}` equals to `{count}` in a second, "
    "which exceeds the frequency limit `{limit}`; wait for the next second."
)
_THROTTLE_CHINESE = "接口 `{action}` 每秒请求 `{count}` 次，超过了每秒频率上限 `{limit}`，请等到下一秒再试。"
_CHINESE_TEXTS = {
    "AuthFailure.InvalidAuthorization": "Authorization 请求头的格式不对",
    "AuthFailure.SecretIdNotFound": "没有这个 SecretId",
    "AuthFailure.SignatureExpire": "时间戳与服务端时间相差超过五分钟",
    "AuthFailure.SignatureFailure": "签名对不上，多半是 SecretKey 不对",
    "AuthFailure.TokenFailure": "临时令牌不对或已过期",
    "FailedOperation.FaceSizeTooSmall": "人脸小于 100 x 100 像素",
    "FailedOperation.ImageDecodeFailed": "图片无法解码：已损坏，或不是 PNG、JPEG、BMP",
    "FailedOperation.ImageDownloadError": "无法从该 URL 下载图片",
    "FailedOperation.ImageResolutionExceed": "图片长边超过 4000 像素（JPEG）或 2000 像素（其他格式）",
    "FailedOperation.ImageResolutionTooSmall": "图片短边小于 64 像素",
    "FailedOperation.ImageSizeExceed": "图片经 Base64 编码后超过 5 MB",
    "FailedOperation.ServerError": "打分算法出错",
    "InternalError": "服务内部出错",
    "InvalidAction": "没有这个接口",
    "InvalidParameter": "参数有误",
    "InvalidParameterValue.FaceModelVersionIllegal": "没有这个人脸模型版本",
    "InvalidParameterValue.ImageEmpty": "图片为空",
    "InvalidParameterValue.NoFaceInPhoto": "图片中没有人脸，本次调用照常计费",
    "InvalidParameterValue.UrlIllegal": "URL 格式不对",
    "InvalidRequest": "请求体不是一个 JSON 对象",
    "MissingParameter": "缺少平台要求的参数",
    "MissingParameter.ErrorParameterEmpty": "图片和 URL 都没有给",
    "NoSuchVersion": "没有这个接口版本",
    "RequestSizeLimitExceeded": "请求超过 10 MB",
    "ResourceUnavailable.InArrears": "账号已欠费",
    "UnknownParameter": "接口没有这个参数",
    "UnsupportedProtocol": "只接受 POST",
}
_CHINESE_FALLBACK = "演练脚本指定的错误"


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many calls a second has seen, and how many it may."""

    count: int
    limit: int


class RefusalError(Exception):
    """A call is answered with an error code.

    Attributes:
        code: The code.
        detail: What it is about, for the message: a header, a parameter.
        throttle: The counts, for a throttling code.
    """

    def __init__(self, code: str, detail: str = "", *, throttle: Throttle | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.throttle = throttle


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is ready to be sent.

    Attributes:
        code: The error code, `OK` for a score.
        body: The JSON.
    """

    code: str
    body: bytes


def _encode(fields: dict[str, object]) -> bytes:
    response = {"Response": {**fields, "RequestId": str(uuid.uuid4())}}
    return json.dumps(response, ensure_ascii=False, separators=(",", ":")).encode()


def make_score_answer(score: float) -> Answer:
    """Make the answer of a scored photo; a whole score is an integer, as the service writes it."""
    number = int(score) if score == int(score) else score
    return Answer(OK, _encode({"Score": number, "FaceModelVersion": MODEL_VERSION}))


def make_error_answer(code: str, message: str) -> Answer:
    """Make the answer that carries an error code."""
    return Answer(code, _encode({"Error": {"Code": code, "Message": message}}))


def describe(code: str, *, language: str, detail: str = "", throttle: Throttle | None = None) -> str:
    """Return the message of an error code in English, or in Chinese for `zh-CN`."""
    is_chinese = language == CHINESE
    if throttle is not None and find_code_rule(code).kind is Kind.THROTTLE:
        text = _THROTTLE_CHINESE if is_chinese else _THROTTLE_ENGLISH
        return text.format(action=ACTION, count=throttle.count, limit=throttle.limit)
    if is_chinese:
        text = _CHINESE_TEXTS.get(code, _CHINESE_FALLBACK)
        return f"{text}：`{detail}`。" if detail else f"{text}。"
    text = find_code_rule(code).meaning
    return f"{text.removesuffix('.')}: `{detail}`." if detail else text
