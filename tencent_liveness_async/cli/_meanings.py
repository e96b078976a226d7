"""What can be explained: error codes, error classes, and the limits that are checked before sending."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass

from .. import _errors
from .._error_codes import BILLED_CODES, CODE_RULES, find_code_rule
from .._errors import LivenessError, find_error_class

PHOTO_RULES = {
    "empty": "The photo has no bytes.",
    "encoded_size": "The photo takes more than 5 MB of Base64, which is 3.75 MB of file.",
    "format": "The photo is neither PNG nor JPEG nor BMP.",
    "header": "The photo's header is cut off or broken, so that its size in pixels cannot be read.",
    "long_side": "The longer side has more than 4000 pixels (JPEG) or 2000 (PNG, BMP).",
    "short_side": "The shorter side has less than 64 pixels.",
    "url": "The URL is not one that the service could fetch the photo from.",
    "unreadable": "The photo's file is missing or cannot be read.",
}
"""The words that a table or a record has for a photo that was not sent, and what they say."""

_RULES_BY_NAME = {name.lower(): name for name in PHOTO_RULES}
_CLASSES_BY_NAME = {
    name.lower(): value
    for name, value in vars(_errors).items()
    if isinstance(value, type) and issubclass(value, LivenessError)
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code, class or limit explained.

    Attributes:
        asked: As it was given.
        code: What is explained.
        is_known: Whether it is documented.
        text: What it says.
        is_billed: Whether its call is billed; None means it is not known.
        error: The name of its error class.
        is_code: Whether it is an error code of the service, which has a rule.
    """

    asked: str
    code: str
    is_known: bool
    text: str
    is_billed: bool | None
    error: str
    is_code: bool = True


def find_meaning(asked: str) -> Meaning:
    """Explain a code, a class of errors or a limit; capitals do not matter, nor a code's first labels."""
    key = asked.lower()
    if key in _RULES_BY_NAME:
        name = _RULES_BY_NAME[key]
        error = _errors.PhotoUnreadableError if name == "unreadable" else _errors.PhotoRejectedError
        return Meaning(asked, name, True, PHOTO_RULES[name], False, error.__name__, False)  # noqa: FBT003
    if key in _CLASSES_BY_NAME:
        return _explain_class(asked, _CLASSES_BY_NAME[key])
    return _explain_code(asked, _find_code(asked) or asked)


def _explain_class(asked: str, error: type[LivenessError]) -> Meaning:
    text = " ".join((inspect.getdoc(error) or "").partition("\n\nAttributes:")[0].split())
    if issubclass(error, _errors.LivenessAPIError):
        codes = [code for code in CODE_RULES if issubclass(find_error_class(code), error)]
        bills = {code in BILLED_CODES for code in codes}
        is_billed = bills.pop() if len(bills) == 1 else None
    else:
        is_billed = error.is_billed
    return Meaning(asked, error.__name__, True, text, is_billed, error.__name__, False)  # noqa: FBT003


def _explain_code(asked: str, code: str) -> Meaning:
    rule, error = find_code_rule(code), find_error_class(code).__name__
    if rule.is_known:
        return Meaning(asked, code, True, rule.meaning, code in BILLED_CODES, error)  # noqa: FBT003
    judged = (
        f"judged by its prefix {rule.prefix}"
        if rule.prefix
        else "no prefix rule fits, so it is judged as the photo's"
    )
    near = _find_near(code)
    text = f"not documented; {judged}." + (f" Did you mean {near}?" if near else "")
    return Meaning(asked, code, False, text, None, error)  # noqa: FBT003


def _find_code(asked: str) -> str | None:
    """Return the documented code that is meant: it, whatever its capitals, or the only one with its label."""
    if asked in CODE_RULES:
        return asked
    key = asked.lower()
    whole = [code for code in CODE_RULES if code.lower() == key]
    labelled = [code for code in CODE_RULES if code.rpartition(".")[2].lower() == key]
    found = whole or labelled
    return found[0] if len(found) == 1 else None


def _find_near(code: str) -> str | None:
    """Return what was most likely meant, by the whole code or by its last label."""
    by_label = {known.rpartition(".")[2].lower(): known for known in CODE_RULES}
    by_code = {known.lower(): known for known in CODE_RULES}
    by_name = _RULES_BY_NAME | {name: value.__name__ for name, value in _CLASSES_BY_NAME.items()}
    label = code.lower().rpartition(".")[2]
    for known, text in ((by_code | by_name, code.lower()), (by_label, label)):
        for match in difflib.get_close_matches(text, known, n=1, cutoff=0.85):
            return known[match]
    return None
