"""What a photo from disk costs: CPU of the whole process to read, encode, hash, sign and send it.

Raw asyncio builds each body whole, as a program by hand does, so it is no lower limit here: a client that
works in chunks stays in the processor's cache and can take less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ceiling import measure_ceiling
from .jobs import Job, run_rounds
from .peers import OURS, OURS_FAST, PEERS, RAW
from .photo_files import SIZES, make_photos
from .report import Report, divide, pick, show
from .stub import run_stub

if TYPE_CHECKING:
    from .jobs import Figures

IN_FLIGHT = 16
CEILING_CONNECTIONS = 64
"""More than are measured: with 16 the latency is the limit, 800 calls/s, and not the stub."""
ROUNDS = {"http": {"300 KB": 2, "2 MB": 3, "3.7 MB": 2}, "https": {"2 MB": 2}}
"""The one with a bound is measured more often."""

Measured = dict[str, dict[str, list["Figures"]]]


def _measure(report: Report, scheme: str, sizes: tuple[str, ...]) -> Measured:
    measured: Measured = {}
    with run_stub(is_tls=scheme == "https") as stub:
        for size in sizes:
            with make_photos(SIZES[size]) as paths:
                jobs = {peer: Job(peer, IN_FLIGHT, paths=paths, seconds=0.35) for peer in PEERS}
                measured[size] = run_rounds(jobs, stub, ROUNDS[scheme][size])
            rate, fastest = max(
                (rate, peer)
                for peer, runs in measured[size].items()
                for rate in pick(runs, "calls_per_second")
            )
            ceiling = measure_ceiling(stub, body_bytes=SIZES[size] * 4 // 3, connections=CEILING_CONNECTIONS)
            report.add_line(f"{scheme}, {size}: {ceiling.describe(fastest, rate)}")
    return measured


def _tell(report: Report, scheme: str, measured: Measured) -> None:
    rows = []
    for peer in PEERS:
        cells = [runs.get(peer, []) for runs in measured.values()]
        rows.append(
            [peer, *(show([us / 1e3 for us in pick(runs, "cpu_us")]) if runs else "-" for runs in cells)]
        )
        for size, runs in zip(measured, cells, strict=True):
            report.note(f"{scheme}, {peer}, {size}, CPU a photo", "us", pick(runs, "cpu_us"))
    report.add_table([f"{scheme}, ms of CPU a photo", *measured], rows)


def _check(report: Report, scheme: str, measured: Measured) -> None:
    for peer, bound in ((OURS, 1.4), (OURS_FAST, 1.15)):
        runs = measured["2 MB"]
        ratios = divide(pick(runs.get(peer, []), "cpu_us"), pick(runs.get(RAW, []), "cpu_us"))
        report.check(f"{scheme}: CPU a 2 MB photo, {peer} / {RAW}", ratios, bound)


def main() -> None:
    """Measure over HTTP with all sizes, and over HTTPS with 2 MB."""
    report = Report(
        "photos", f"files from disk, {IN_FLIGHT} in flight, a fresh process each, interleaved rounds"
    )
    for scheme, sizes in (("http", tuple(SIZES)), ("https", ("2 MB",))):
        measured = _measure(report, scheme, sizes)
        _tell(report, scheme, measured)
        _check(report, scheme, measured)
    report.write()
