from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async import _errors as errors
from tencent_liveness_async.sandbox import SandboxSettings


def test_secrets_are_not_shown() -> None:
    """Neither key nor token is in the text of the settings."""
    text = repr(SandboxSettings(secret_key="deep", token="hidden"))
    assert "deep" not in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"secret_id": ""}, "secret_id and secret_key must not be empty"),
        ({"quota": 0}, "quota must be at least 1"),
        ({"quota_window": "hopping"}, "quota_window must be `fixed` or `sliding`, not 'hopping'"),
        ({"quota_offset": 1}, "quota_offset must be from 0 to less than 1 second, not 1"),
        ({"quota_offset": -0.1}, "quota_offset"),
        ({"quota_offset": math.nan}, "quota_offset"),
        ({"other_calls": -1}, "other_calls must be from 0 to 1,000,000 calls per second, not -1"),
        ({"other_calls": math.inf}, "other_calls"),
        ({"urls": "follow"}, "urls must be `trust` or `fetch`"),
        ({"keep_alive": 0}, "keep_alive must be more than 0 seconds"),
        ({"fetch_timeout": -1}, "fetch_timeout"),
        ({"scores": {"a": 101}}, "scores: a must be from 0 to 100"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], complaint: str) -> None:
    """A setting that cannot work is refused with its name."""
    with pytest.raises(errors.ConfigurationError, match=complaint):
        SandboxSettings(**settings)
