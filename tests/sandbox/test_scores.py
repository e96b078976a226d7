from __future__ import annotations

from hashlib import sha256

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import invent_score


def test_score_follows_its_documented_rule() -> None:
    """The score is the first 8 bytes of SHA-256("SEED:KEY") modulo 10001, over 100."""
    number = int.from_bytes(sha256(b"7:http://photos.test/1.jpg").digest()[:8])
    assert invent_score("http://photos.test/1.jpg", seed=7) == number % 10_001 / 100


def test_scores_cover_the_range() -> None:
    """Scores are from 0 to 100, with two decimals, on both sides of every threshold."""
    scores = [invent_score(str(number), seed=0) for number in range(3000)]
    assert all(0 <= score <= 100 and round(score, 2) == score for score in scores)
    assert min(scores) < 1
    assert max(scores) > 99


def test_seed_changes_scores() -> None:
    """Another seed gives other scores."""
    assert invent_score("a", seed=0) != invent_score("a", seed=1)
