"""How late the event loop is while large photos stream: a heartbeat of 1 ms beside 16 photos of 3.7 MB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .jobs import Job, run_rounds
from .peers import OFFICIAL, OURS, OURS_FAST
from .photo_files import SIZES, make_photos
from .report import Report, pick, show
from .stub import run_stub

if TYPE_CHECKING:
    from .jobs import Figures

IN_FLIGHT = 16
ROUNDS = 2
SECONDS = 2.5
HEADS = ("p50", "p99.9", "of time p99.9", "max", "beats")
COLUMNS = ("p50_ms", "p999_ms", "of_time_p999_ms", "max_ms", "beats")


def _make_jobs(peers: tuple[str, ...], paths: list[str]) -> dict[str, Job]:
    return {peer: Job(peer, IN_FLIGHT, "stalls", paths=paths, seconds=SECONDS) for peer in peers}


def _tell(report: Report, scheme: str, measured: dict[str, list[Figures]]) -> None:
    rows = []
    for peer, runs in measured.items():
        for state, prefix in (("idle", "idle_"), ("streaming", "")):
            rows.append([f"{peer}, {state}", *(show(pick(runs, prefix + key)) for key in COLUMNS)])
            for key in COLUMNS:
                values = pick(runs, prefix + key)
                report.note(f"{scheme}: heartbeat, {peer}, {state}, {key}", "", values)
    report.add_table([f"{scheme}, ms late", *HEADS], rows)
    for peer in (OURS, OURS_FAST):
        runs = measured.get(peer, [])
        for key, name, bound in (("p999_ms", "p99.9", 5), ("max_ms", "max", 20)):
            report.check(f"{scheme}: heartbeat delay, {peer}, {name}", pick(runs, key), bound, unit="ms")


def main() -> None:
    """Measure this client over HTTP and HTTPS, and peers once over HTTP."""
    title = f"delay of a 1 ms heartbeat, {IN_FLIGHT} photos of 3.7 MB in flight, {ROUNDS} rounds"
    report = Report("stalls", title)
    report.add_line("`of time` counts a stall by its length; under 1000 beats their p99.9 is their maximum")
    with make_photos(SIZES["3.7 MB"]) as paths:
        for scheme, others in (("http", ("aiohttp", OFFICIAL)), ("https", ())):
            with run_stub(is_tls=scheme == "https") as stub:
                measured = run_rounds(_make_jobs((OURS, OURS_FAST), paths), stub, ROUNDS)
                measured |= run_rounds(_make_jobs(others, paths), stub, 1)
            _tell(report, scheme, measured)
    report.write()
