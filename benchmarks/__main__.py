"""Run a benchmark by its name, `python -m benchmarks small_calls`, or all that `make bench` runs: `all`."""

from __future__ import annotations

import importlib
import sys
import time

ALL = ("same_work", "hot_path", "small_calls", "photos", "stalls", "memory", "start_up", "pace", "quota")
NAMES = (*ALL, "ceiling", "guard", "real_time", "ledger", "archive", "resume", "sandbox")


def main() -> int:
    """Run what the first argument names."""
    if len(sys.argv) != 2 or sys.argv[1] not in ("all", *NAMES):
        print(f"usage: python -m benchmarks all | {' | '.join(NAMES)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    for name in ALL if sys.argv[1] == "all" else sys.argv[1:]:
        importlib.import_module(f"benchmarks.{name}").main()
    print(f"took {time.monotonic() - began:.0f} s")
    return 0


sys.exit(main())
