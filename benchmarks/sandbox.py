"""How many small signed calls a second one sandbox process answers on one core.

The load comes from this process: raw sockets and requests that were signed beforehand, so that it costs
little. The sandbox runs in a process of its own, held to one core; this one is held to another.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tencent_liveness_async._protocol.body import build_url_body
from tencent_liveness_async._protocol.endpoint import Endpoint
from tencent_liveness_async._protocol.request import RequestSettings, build_headers
from tencent_liveness_async.sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 2000
CONNECTIONS = 32
CALLS = 8000
RUNS = 5
RESULTS = Path(__file__).parent / "results"


@contextmanager
def run_sandbox(*arguments: str) -> Iterator[tuple[int, str]]:
    """Serve a sandbox in a process of its own, and give its process id and endpoint."""
    command = [sys.executable, "-m", "tencent_liveness_async.cli", "sandbox", "--no-faces", *arguments]
    own_key = {"TENCENTCLOUD_SECRET_ID": SANDBOX_SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SANDBOX_SECRET_KEY}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | own_key
    ) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().removeprefix("listening on ").strip()
        try:
            yield process.pid, endpoint
        finally:
            process.terminate()


def _sign(endpoint: Endpoint, number: int) -> bytes:
    body = build_url_body(f"https://photos.test/{number}.jpg")
    headers = build_headers(
        body,
        RequestSettings("ap-guangzhou", "en-US"),
        host=endpoint.host,
        secret_id=SANDBOX_SECRET_ID,
        secret_key=SANDBOX_SECRET_KEY,
        token=None,
        timestamp=int(time.time()),
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body.content


async def _load(endpoint: Endpoint) -> float:
    """Send the calls and return the seconds they took."""
    host, _, port = endpoint.host.partition(":")
    requests = [_sign(endpoint, number) for number in range(CALLS)]

    async def work() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while requests:
            writer.write(requests.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if b'"Score"' not in await reader.readexactly(length):
                raise RuntimeError("the sandbox refused a call")
        writer.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(work())
    return time.perf_counter() - began


def _read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, print, and write a dated result file."""
    lines = [f"sandbox: {CALLS} signed URL calls over {CONNECTIONS} connections, one core, {RUNS} runs"]
    rates = []
    with run_sandbox("--quota", "0") as (pid, url):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(pid, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        for _ in range(RUNS):
            cpu = _read_cpu_seconds(pid)
            seconds = asyncio.run(_load(Endpoint.parse(url)))
            cpu = _read_cpu_seconds(pid) - cpu
            rates.append(CALLS / seconds)
            lines.append(f"{CALLS / seconds:8.0f} calls/s  {1e6 * cpu / CALLS:6.0f} us of CPU a call")
    median = statistics.median(rates)
    verdict = "holds" if median >= BOUND else "FAILS"
    lines.append(
        f"median {median:.0f} calls/s, {min(rates):.0f} to {max(rates):.0f}; bound {BOUND}: {verdict}"
    )
    lines.append(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-sandbox.txt").write_text(text)
