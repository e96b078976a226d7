"""How long it takes to import the package, and to show the command's help."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .report import Report, show

RUNS = 7
COMMAND = str(Path(sys.executable).parent / "tencent-liveness")
IMPORT = "import tencent_liveness_async"
USE = "from tencent_liveness_async import LivenessClient"
"""What a program needs; the package imports most of itself only then."""
PROGRAMS = {
    "bare Python": [sys.executable, "-c", "pass"],
    IMPORT: [sys.executable, "-c", IMPORT],
    USE: [sys.executable, "-c", USE],
    "import httpx": [sys.executable, "-c", "import httpx"],
    "import aiohttp": [sys.executable, "-c", "import aiohttp"],
    "import the official SDK's async client": [
        sys.executable,
        "-c",
        "import tencentcloud.iai.v20200303.iai_client_async",
    ],
    "tencent-liveness --help": [COMMAND, "--help"],
}


def _run(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    """Take turns, after one run that fills the caches."""
    report = Report("start-up", f"wall time of fresh processes, {RUNS} interleaved rounds")
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(RUNS + 1):
        for name, command in PROGRAMS.items():
            taken = _run(command)
            if number:
                seconds[name].append(taken)
    bare = seconds["bare Python"]
    over = {
        name: [one - other for one, other in zip(values, bare, strict=True)]
        for name, values in seconds.items()
    }
    rows = [[name, show(values), show(over[name])] for name, values in seconds.items() if values is not bare]
    report.add_line(f"bare Python takes {show(bare)} ms")
    report.add_table(["ms", "wall", "over bare Python"], rows)
    for name in (IMPORT, USE):
        report.check(f"{name} over bare Python", over[name], 200, unit="ms")
    report.check("tencent-liveness --help", seconds["tencent-liveness --help"], 250, unit="ms")
    report.write()
