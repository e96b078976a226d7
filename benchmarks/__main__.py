"""Run a benchmark by its name: `python -m benchmarks sandbox`."""

from __future__ import annotations

import importlib
import sys

NAMES = ("sandbox",)


def main() -> int:
    """Run what the first argument names."""
    if len(sys.argv) != 2 or sys.argv[1] not in NAMES:
        print(f"usage: python -m benchmarks {' | '.join(NAMES)}", file=sys.stderr)
        return 2
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main()
    return 0


sys.exit(main())
