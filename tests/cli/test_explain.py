from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tencent_liveness_async._error_codes import CODE_RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[..., Any]


def test_known_code_is_explained(invoke: Invoke) -> None:
    """A documented code gets its meaning, handling, retries, bill, class and advice."""
    ended = invoke("explain", "FailedOperation.ServerError")
    assert ended.code == 0
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert lines[0] == "FailedOperation.ServerError"
    for line, (name, text) in zip(
        lines[1:],
        [
            ("meaning", "The scoring algorithm failed."),
            ("handling", "transient: may succeed when tried again"),
            ("retries", "at most 3"),
            ("billed", "no"),
            ("error", "TransientAPIError"),
            ("advice", "Try again later"),
        ],
        strict=True,
    ):
        assert line.startswith(name)
        assert text in line


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidParameterValue.NoFaceInPhoto", ("billed    yes", "NoFaceError", "retries   none")),
        ("RequestLimitExceeded", ("until the deadline", "throttle")),
        ("AuthFailure.SignatureFailure", ("ends the run", "AuthenticationError")),
    ],
)
def test_kinds_are_told_apart(invoke: Invoke, code: str, words: tuple[str, ...]) -> None:
    """Each kind of code is shown as a run treats it."""
    stdout = invoke("explain", code).stdout
    for word in words:
        assert word in stdout


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("FailedOperation.Novelty", ("not documented", "judged by its prefix FailedOperation.")),
        ("Novelty", ("not documented; no prefix rule fits",)),
        ("NoFaceInPhoto", ("Did you mean InvalidParameterValue.NoFaceInPhoto?",)),
        ("failedoperation.servererror", ("Did you mean FailedOperation.ServerError?",)),
        ("Bad\x1b[2J", ("Bad\N{REPLACEMENT CHARACTER}[2J",)),
    ],
)
def test_unknown_code_is_judged_by_its_prefix(invoke: Invoke, code: str, words: tuple[str, ...]) -> None:
    """A code that is not documented is said to be so, and the rule that would apply is named."""
    ended = invoke("explain", code, columns=200)
    assert ended.code == 0
    for word in words:
        assert word in ended.stdout


def test_all_codes_are_listed(invoke: Invoke) -> None:
    """The table has a line for every documented code, whole."""
    ended = invoke("explain", "--all", columns=160)
    shown = {line.split()[0] for line in ended.stdout.splitlines()}
    assert ended.code == 0
    assert set(CODE_RULES) <= shown


def test_json_has_one_object_a_line(invoke: Invoke) -> None:
    """JSON has the same keys for known and unknown codes."""
    ended = invoke("explain", "RequestLimitExceeded", "FailedOperation.Novelty", "--json")
    known, unknown = map(json.loads, ended.stdout.splitlines())
    assert list(known) == list(unknown)
    assert (known["is_known"], known["prefix"], known["max_retries"]) == (True, None, None)
    assert (unknown["is_known"], unknown["prefix"], unknown["max_retries"]) == (False, "FailedOperation", 0)
    assert len(invoke("explain", "--all", "--json").stdout.splitlines()) == len(CODE_RULES)


def test_table_explains_unknown_codes_too(invoke: Invoke) -> None:
    """Codes beside `--all` stand in the table."""
    assert "not documented" in invoke("explain", "Novelty", "--all").stdout


def test_no_code_is_a_usage_error(invoke: Invoke) -> None:
    """There must be something to explain."""
    ended = invoke("explain")
    assert (ended.code, ended.stderr) == (2, "tencent-liveness: explain needs error codes, or --all\n")
