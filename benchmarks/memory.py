"""Peak memory over the idle client: 64 photos of 3.7 MB in flight from disk."""

from __future__ import annotations

from .jobs import Job, run_rounds
from .peers import OFFICIAL, OURS, OURS_FAST
from .photo_files import SIZES, make_photos
from .report import Report, pick, show
from .stub import run_stub

IN_FLIGHT = 64
CALLS = 96
ROUNDS = 2
LATENCY = 0.3
"""Longer than elsewhere, so that all 64 really are in flight at once."""


def main() -> None:
    """Measure this client over HTTP and HTTPS, and peers over HTTP."""
    report = Report("memory", f"{CALLS} photos of 3.7 MB from disk, {IN_FLIGHT} in flight, {ROUNDS} rounds")
    rows = []
    with make_photos(SIZES["3.7 MB"]) as paths:
        for scheme, others in (("http", ("aiohttp", OFFICIAL)), ("https", ())):
            peers = (OURS, OURS_FAST, *others)
            jobs = {peer: Job(peer, IN_FLIGHT, "memory", paths=paths, calls=CALLS) for peer in peers}
            with run_stub(is_tls=scheme == "https", latency=LATENCY) as stub:
                measured = run_rounds({peer: jobs[peer] for peer in (OURS, OURS_FAST)}, stub, ROUNDS)
                measured |= run_rounds({peer: jobs[peer] for peer in others}, stub, 1)
            for peer, runs in measured.items():
                over, idle = pick(runs, "over_idle_mb"), pick(runs, "idle_mb")
                rows.append([f"{scheme}, {peer}", show(idle), show(over)])
                if peer in others:
                    report.note(f"{scheme}: peak RSS over idle, {peer}", "MB", over)
                else:
                    report.check(f"{scheme}: peak RSS over the idle client, {peer}", over, 64, unit="MB")
    report.add_table(["MB", "idle", "peak over idle"], rows)
    report.write()
