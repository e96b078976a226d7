from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async import BILLED_CODES, CodeRule, Handling, find_code_rule
from tencent_liveness_async._error_codes import CODE_RULES, Kind

TABLE = json.loads((Path(__file__).parent / "data" / "error_codes.json").read_text())
CODES: dict[str, dict[str, Any]] = TABLE["codes"]
PREFIXES: list[dict[str, str]] = TABLE["prefix_rules_for_unknown_codes"]


def test_every_code_is_listed() -> None:
    """The 131 codes of the API page, the platform and the official SDKs are listed, and no other."""
    assert len(CODES) == 131
    assert set(CODE_RULES) == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_code_has_its_handling_and_retries(code: str) -> None:
    """A code has the handling and the number of retries of the table, a meaning and an advice."""
    rule = find_code_rule(code)
    assert rule.handling is Handling(CODES[code]["handling"])
    assert rule.max_retries == CODES[code]["max_retries"]
    assert rule.is_known
    assert rule.meaning.endswith(".")
    assert rule.advice.endswith(".")


@pytest.mark.parametrize("rule", PREFIXES, ids=lambda rule: rule["prefix"] or "any")
@pytest.mark.parametrize("ending", [".NeverHeardOf", "NeverHeardOf"])
def test_unknown_code_is_judged_by_its_prefix(rule: dict[str, str], ending: str) -> None:
    """A code that is not listed has the handling of the first prefix it begins with."""
    found = find_code_rule(rule["prefix"] + ending)
    assert found.handling is Handling(rule["handling"])
    assert not found.is_known


def _find_expected(code: str) -> str:
    return next(rule["handling"] for rule in PREFIXES if code.startswith(rule["prefix"]))


@given(st.sampled_from([*CODES, *(rule["prefix"] for rule in PREFIXES)]), st.text(max_size=8))
def test_any_code_has_a_rule(start: str, ending: str) -> None:
    """Whatever code the service may invent, there is a rule, and it retries only what may pass."""
    code = start + ending
    rule = find_code_rule(code)
    assert rule.is_known is (code in CODES)
    assert rule.handling.value == (CODES[code]["handling"] if rule.is_known else _find_expected(code))
    if not rule.is_known:
        expected = {Handling.THROTTLE: None, Handling.TRANSIENT: 3}
        assert rule.max_retries == expected.get(rule.handling, 0)


@pytest.mark.parametrize("code", CODES)
def test_throttles_have_no_limit_of_retries(code: str) -> None:
    """Only a throttled call is tried again without a limit; each other one has a number of retries."""
    rule = find_code_rule(code)
    assert (rule.max_retries is None) is (rule.handling is Handling.THROTTLE)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_every_kind_has_a_handling_and_an_advice(kind: Kind) -> None:
    """Every kind of code says what a run and what a person does about it."""
    assert isinstance(kind.handling, Handling)
    assert kind.advice
    assert CodeRule(kind, 0, "").handling is kind.handling
    assert CodeRule(kind, 0, "").advice == kind.advice


def test_only_a_photo_without_a_face_is_billed() -> None:
    """Of all error codes only NoFaceInPhoto is billed unless other codes are chosen."""
    assert frozenset({"InvalidParameterValue.NoFaceInPhoto"}) == BILLED_CODES
