"""Jobs for fresh processes, and the rounds in which the peers take turns."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import TypeVar

    from .stub import Stub

    Key = TypeVar("Key", bound=Hashable)

Figures: TypeAlias = dict[str, float]

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0


class JobError(RuntimeError):
    """A job ended without figures; the message is its process's last line."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process measures.

    Attributes:
        peer: Who makes the calls.
        in_flight: How many at the same time.
        measure: What to look at.
        paths: The photos; none for small calls that name a URL.
        seconds: How long, once warm.
        calls: How many, for the memory.
        rate: Calls per second, for the pace.
        url: Where the stub is; filled in by `measure`.
        ca_file: Its certificate.
    """

    peer: str
    in_flight: int
    measure: Literal["cpu", "memory", "stalls", "pace"] = "cpu"
    paths: list[str] = field(default_factory=list)
    seconds: float = 0.6
    calls: int = 0
    rate: float = 0.0
    url: str = ""
    ca_file: str | None = None


def measure(job: Job, stub: Stub) -> Figures:
    """Do one job in a fresh process.

    Raises:
        JobError: It failed, or took longer than any job should.
    """
    job_text = json.dumps(asdict(job) | {"url": stub.target.url, "ca_file": stub.target.ca_file})
    command = [sys.executable, "-m", "benchmarks.worker", job_text]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise JobError(f"no figures within {PATIENCE:g} s") from exc
    if done.returncode != 0:
        raise JobError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_rounds(jobs: Mapping[Key, Job], stub: Stub, rounds: int) -> dict[Key, list[Figures]]:
    """Do all jobs once in each round, so that noise meets all of them alike; every other one backwards.

    Returns:
        The figures of each job in the order of the rounds. A job that failed has none, so that those of
        two jobs always pair; why it failed goes to standard error.
    """
    measured: dict[Key, list[Figures]] = {key: [] for key in jobs}
    failed: set[Key] = set()
    for number in range(rounds):
        keys = [key for key in jobs if key not in failed]
        for key in reversed(keys) if number % 2 else keys:
            try:
                measured[key].append(measure(jobs[key], stub))
            except JobError as exc:
                failed.add(key)
                print(f"! {key}: {exc}", file=sys.stderr)
    return {key: figures for key, figures in measured.items() if key not in failed}
