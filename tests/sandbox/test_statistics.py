from __future__ import annotations

import json

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import SandboxStatistics
from tencent_liveness_async.sandbox._statistics import StatisticsBook


def test_scores_and_photos_without_face_are_billed() -> None:
    """Of all answers, two kinds are billed."""
    book = StatisticsBook()
    codes = ("OK", "InvalidParameterValue.NoFaceInPhoto", "FailedOperation.ServerError", "New.Code")
    assert [book.add_answer(code) for code in codes] == [True, True, False, False]
    assert book.snapshot().billed == 2


def test_every_throttling_code_counts_as_throttled() -> None:
    """Sub-codes and the service's own throttling code count, others do not."""
    book = StatisticsBook()
    for code in (
        "RequestLimitExceeded",
        "RequestLimitExceeded.UinLimitExceeded",
        "FailedOperation.RequestLimitExceeded",
        "LimitExceeded",
    ):
        book.add_answer(code)
    assert book.snapshot().throttled == 3


def test_busiest_second_is_the_worst_of_all() -> None:
    """A quiet second does not hide a busy one before it."""
    book = StatisticsBook()
    for now in (1.0, 2.0, 2.5, 2.9, 3.0):
        book.add_call(now)
    assert (book.snapshot().calls, book.snapshot().busiest_second) == (5, 3)


def test_snapshot_does_not_change() -> None:
    """A snapshot is a copy."""
    book = StatisticsBook()
    before = book.snapshot()
    book.add_answer("OK")
    book.add_fault("html")
    assert (before.codes, before.faults) == ({}, {})


def test_statistics_are_json() -> None:
    """What the address shows has every field."""
    shown = json.loads(json.dumps(SandboxStatistics(calls=2, codes={"OK": 1}).to_json()))
    assert SandboxStatistics(**shown) == SandboxStatistics(calls=2, codes={"OK": 1})
