from __future__ import annotations

import json
import re
import uuid

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async import _error_codes as error_codes
from tencent_liveness_async.sandbox._answers import (
    Throttle,
    describe,
    make_error_answer,
    make_score_answer,
)

ENGLISH = re.compile(r"equals to `(\d+)` in a second, which exceeds the frequency limit `(\d+)`")
CHINESE = re.compile(r"每秒请求 `(\d+)` 次，超过了每秒频率上限 `(\d+)`")


@pytest.mark.parametrize(("score", "text"), [(99.0, b"99,"), (0.0, b"0,"), (12.34, b"12.34,")])
def test_whole_score_is_an_integer(score: float, text: bytes) -> None:
    """A whole score has no decimals, as in the API page's example."""
    assert b'"Score":' + text in make_score_answer(score).body


def test_score_answer_has_the_documented_fields() -> None:
    """An answer has a score, a model and a request id of its own."""
    answers = [json.loads(make_score_answer(1.5).body)["Response"] for _ in range(2)]
    assert answers[0].keys() == {"Score", "FaceModelVersion", "RequestId"}
    assert answers[0]["FaceModelVersion"] == "3.0"
    assert uuid.UUID(answers[0]["RequestId"]).version == 4
    assert answers[0]["RequestId"] != answers[1]["RequestId"]


def test_error_answer_has_the_documented_fields() -> None:
    """An error has a code, a message and a request id."""
    answer = json.loads(make_error_answer("InternalError", "broken").body)["Response"]
    assert answer.pop("RequestId")
    assert answer == {"Error": {"Code": "InternalError", "Message": "broken"}}


@pytest.mark.parametrize(("language", "pattern"), [("en-US", ENGLISH), ("zh-CN", CHINESE)])
def test_throttle_message_carries_the_counts(language: str, pattern: re.Pattern[str]) -> None:
    """Clients read the true limit out of the text, in either language."""
    text = describe("RequestLimitExceeded", language=language, throttle=Throttle(51, 50))
    match = pattern.search(text)
    assert match is not None
    assert match.groups() == ("51", "50")


def test_detail_is_part_of_the_message() -> None:
    """A message says which parameter it is about."""
    english = describe("MissingParameter", language="en-US", detail="X-TC-Action")
    assert english == "A parameter that the platform requires is missing: `X-TC-Action`."
    chinese = describe("MissingParameter", language="zh-CN", detail="X-TC-Action")
    assert chinese == "缺少平台要求的参数：`X-TC-Action`。"


@pytest.mark.parametrize("code", sorted(error_codes.CODE_RULES))
def test_every_code_has_a_sentence_in_both_languages(code: str) -> None:
    """No code is answered with an empty text or in the wrong language."""
    assert describe(code, language="en-US").isascii()
    assert not describe(code, language="zh-CN").isascii()
