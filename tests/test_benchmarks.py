from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.campaign
"""They run where `benchmarks/` stands beside the tests, which it does not for the installed wheel."""


def test_a_small_call_takes_a_quarter_of_the_official_sdks_cpu() -> None:
    """At 128 in flight a small call takes at most 1/4 of the CPU it takes with the official async SDK."""
    # Coverage would count this client's lines and not the SDK's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "guard"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rate_fits_the_quota_in_every_scenario() -> None:
    """Simulated over 240 s, the share of the quota that is used and the throttles keep their bounds."""
    done = subprocess.run(
        [sys.executable, "-c", "from benchmarks.quota import check; check()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
