from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async import _errors as errors
from tencent_liveness_async.sandbox import FaultRule, FaultScript

EVERY_FAULT: list[dict[str, object]] = [
    {"fault": "code", "code": "FailedOperation.ServerError", "rate": 0.01},
    {"fault": "code", "code": "InternalError", "message": "broken", "calls": [1, 5]},
    {"fault": "arrears", "after": 100},
    {"fault": "status", "calls": [2]},
    {"fault": "status", "status": 504, "calls": [2]},
    {"fault": "html", "rate": 1},
    {"fault": "reset", "at": "request", "rate": 0.5},
    {"fault": "reset", "at": "answer", "rate": 0.5},
    {"fault": "reset", "at": "body", "rate": 0.5},
    {"fault": "truncate", "rate": 0.5},
    {"fault": "stall", "seconds": 3, "rate": 0.5},
    {"fault": "drip", "bytes_per_second": 10, "rate": 0.5},
]


def test_script_survives_json() -> None:
    """A script shows as it was given."""
    script = {"seed": 7, "rules": EVERY_FAULT}
    assert FaultScript.parse(script).to_json() == script


def test_empty_script_does_nothing() -> None:
    """Without rules no call goes wrong."""
    assert FaultScript.parse({}).find(1) is None


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ([], "the fault script must be an object"),
        ({"rule": []}, "rule is not known"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"rules": {}}, "rules must be a list"),
        ({"rules": [1]}, r"rules\[0\] must be an object"),
        ({"rules": [{"rate": 1}]}, r"rules\[0\]\.fault must be one of code, arrears"),
        ({"rules": [{"fault": ["code"], "rate": 1}]}, r"rules\[0\]\.fault must be one of"),
        ({"rules": [EVERY_FAULT[0], {"fault": "boom"}]}, r"rules\[1\]\.fault must be one of"),
    ],
)
def test_wrong_script_names_the_field(script: object, complaint: str) -> None:
    """What is wrong with a script is said with the place where it is wrong."""
    with pytest.raises(errors.ConfigurationError, match=complaint):
        FaultScript.parse(script)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"fault": "html"}, "rate or `calls` or `after`: exactly one"),
        ({"fault": "html", "rate": 1, "after": 1}, "rate or `calls` or `after`"),
        ({"fault": "html", "rate": 1.1}, "rate must be a number from 0 to 1"),
        ({"fault": "html", "rate": True}, "rate must be a number"),
        ({"fault": "html", "rate": float("nan")}, "rate must be a number"),
        ({"fault": "html", "calls": []}, "calls must be a list"),
        ({"fault": "html", "calls": 3}, "calls must be a list"),
        ({"fault": "html", "calls": [0]}, "calls must be a list of call numbers from 1"),
        ({"fault": "html", "calls": ["1"]}, "calls must be a list"),
        ({"fault": "html", "after": -1}, "after must be a whole number from 0"),
        ({"fault": "html", "after": 0.5}, "after must be a whole number"),
        ({"fault": "html", "code": "x", "rate": 1}, "code is not a field of `html`"),
        ({"fault": "html", "when": 1, "rate": 1}, "when is not a field of `html`"),
        ({"fault": "code", "rate": 1}, "code is missing; `code` needs it"),
        ({"fault": "code", "code": "", "rate": 1}, "code must be an error code"),
        ({"fault": "code", "code": "x", "message": 1, "rate": 1}, "message must be text"),
        ({"fault": "status", "status": 200, "rate": 1}, "status must be a whole number from 400"),
        ({"fault": "reset", "rate": 1}, "at is missing"),
        ({"fault": "reset", "at": "end", "rate": 1}, "at must be `request`"),
        ({"fault": "reset", "at": [], "rate": 1}, "at must be `request`"),
        ({"fault": "stall", "rate": 1}, "seconds is missing"),
        ({"fault": "stall", "seconds": -1, "rate": 1}, "seconds must be a number"),
        ({"fault": "drip", "bytes_per_second": 0, "rate": 1}, "bytes_per_second must be a number"),
    ],
)
def test_wrong_rule_names_the_field(rule: dict[str, Any], complaint: str) -> None:
    """A rule's unknown, missing, misplaced and wrong fields are each named with their place."""
    with pytest.raises(errors.ConfigurationError, match=r"rules\[0\]\." + complaint):
        FaultScript.parse({"rules": [rule]})


def test_rule_is_checked_where_it_is_made() -> None:
    """A rule made in Python is held to the same rules."""
    with pytest.raises(errors.ConfigurationError, match="fault script: seconds is missing"):
        FaultRule(fault="stall", rate=1)


def test_call_numbers_hit_these_calls() -> None:
    """`calls` hits exactly the calls it lists."""
    script = FaultScript(rules=(FaultRule(fault="html", calls=(1, 5)),))
    assert [number for number in range(1, 10) if script.find(number)] == [1, 5]


def test_after_hits_the_rest() -> None:
    """`after` hits every call after the given number."""
    script = FaultScript(rules=(FaultRule(fault="arrears", after=3),))
    assert [number for number in range(1, 7) if script.find(number)] == [4, 5, 6]


def test_first_matching_rule_decides() -> None:
    """A later rule has a call only where no earlier one matches."""
    first, second = FaultRule(fault="html", calls=(2,)), FaultRule(fault="truncate", rate=1)
    script = FaultScript(rules=(first, second))
    assert [script.find(1), script.find(2)] == [second, first]


def _hits(script: FaultScript) -> list[int]:
    return [number for number in range(1, 5001) if script.find(number)]


def test_rate_hits_its_share_whatever_the_order() -> None:
    """A rate's calls follow from the seed and the number alone."""
    script = FaultScript(7, (FaultRule(fault="html", rate=0.1),))
    hits = _hits(script)
    assert 400 < len(hits) < 600
    assert sorted(number for number in range(5000, 0, -1) if script.find(number)) == hits
    assert _hits(FaultScript(8, script.rules)) != hits


def test_rules_with_the_same_rate_hit_different_calls() -> None:
    """A rule's place is part of its chance."""
    rule = FaultRule(fault="html", rate=0.1)
    both = FaultScript(7, (rule, FaultRule(fault="truncate", rate=0.1)))
    assert len(_hits(both)) > 1.5 * len(_hits(FaultScript(7, (rule,))))


@pytest.mark.parametrize(("rate", "count"), [(0, 0), (1, 5000)])
def test_extreme_rates_are_exact(rate: float, count: int) -> None:
    """Rate 0 hits nothing, rate 1 everything."""
    assert len(_hits(FaultScript(0, (FaultRule(fault="html", rate=rate),)))) == count
