from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tencent_liveness_async import PhotoRejectedError
from tencent_liveness_async._error_codes import CODE_RULES
from tencent_liveness_async.cli._meanings import PHOTO_RULES

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
        ("Novelty", ("not documented; no prefix rule fits", "billed    not known")),
        ("NoFaceInPhotos", ("Did you mean InvalidParameterValue.NoFaceInPhoto?",)),
        ("long_sides", ("Did you mean long_side?",)),
        ("Bad\x1b[2J", ("Bad\N{REPLACEMENT CHARACTER}[2J",)),
    ],
)
def test_unknown_code_is_judged_by_its_prefix(invoke: Invoke, code: str, words: tuple[str, ...]) -> None:
    """A code that is not documented is told, with the rule that would apply, and the exit code is 1."""
    ended = invoke("explain", code, columns=200)
    assert ended.code == 1
    for word in words:
        assert word in ended.stdout


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("NoFaceInPhoto", "InvalidParameterValue.NoFaceInPhoto"),
        ("nofaceinphoto", "InvalidParameterValue.NoFaceInPhoto"),
        ("failedoperation.servererror", "FailedOperation.ServerError"),
        ("requestlimitexceeded", "RequestLimitExceeded"),
        ("photorejectederror", "PhotoRejectedError"),
        ("LONG_SIDE", "long_side"),
    ],
)
def test_short_names_are_found(invoke: Invoke, asked: str, code: str) -> None:
    """Capitals do not matter, nor the first labels where the last is unique; what is explained is named."""
    ended = invoke("explain", asked)
    assert ended.code == 0
    assert ended.stdout.splitlines()[0] == f"{code}  (for {asked})"


def test_label_of_several_codes_is_not_guessed(invoke: Invoke) -> None:
    """A last label that several codes have names none of them."""
    labels = [code.rpartition(".")[2] for code in CODE_RULES if "." in code]
    label = next((label for label in labels if labels.count(label) > 1), None)
    assert label is None or invoke("explain", label).code == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PhotoRejectedError", ("breaks a limit of the API", "billed   no")),
        ("OutcomeUnknownError", ("no usable answer came back", "billed   not known")),
        ("DeadlineExceededError", ("The deadline passed",)),
        ("NoFaceError", ("No face was found", "billed   yes")),
        ("long_side", ("4000 pixels", "error    PhotoRejectedError")),
        ("unreadable", ("cannot be read", "error    PhotoUnreadableError")),
    ],
)
def test_what_a_table_prints_is_explained(invoke: Invoke, name: str, words: tuple[str, ...]) -> None:
    """Error classes and limits that stand in a table of results are explained as codes are."""
    ended = invoke("explain", name)
    assert ended.code == 0
    for word in words:
        assert word in ended.stdout
    assert "retries" not in ended.stdout


def test_every_limit_has_its_line() -> None:
    """The limits that are explained are those that the error's class names."""
    named = set(re.findall("`([a-z_]+)`", PhotoRejectedError.__doc__ or ""))
    assert named - {"rule", "value", "limit"} == set(PHOTO_RULES) - {"unreadable"}


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
    assert (known["is_billed"], unknown["is_billed"], known["asked"]) == (False, None, "RequestLimitExceeded")
    assert len(invoke("explain", "--all", "--json").stdout.splitlines()) == len(CODE_RULES)


def test_json_of_a_class_has_the_same_keys(invoke: Invoke) -> None:
    """A class or a limit has no rule; its keys are null."""
    ended = invoke("explain", "url", "InternalError", "--json")
    rule, code = map(json.loads, ended.stdout.splitlines())
    assert list(rule) == list(code)
    assert (rule["handling"], rule["advice"], rule["is_known"]) == (None, None, True)


def test_table_explains_unknown_codes_too(invoke: Invoke) -> None:
    """Codes beside `--all` stand in the table."""
    stdout = invoke("explain", "Novelty", "long_side", "--all").stdout
    assert "not documented" in stdout
    assert "long_side" in stdout
    assert " \n" not in stdout


@pytest.mark.parametrize(
    ("arguments", "reason"), [((), "explain needs error codes, or --all"), (("",), "'' is no error code")]
)
def test_no_code_is_a_usage_error(invoke: Invoke, arguments: tuple[str, ...], reason: str) -> None:
    """There must be something to explain."""
    ended = invoke("explain", *arguments)
    hint = "Try `tencent-liveness explain --help`."
    assert (ended.code, ended.stderr) == (2, f"tencent-liveness: {reason}. {hint}\n")
