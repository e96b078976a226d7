"""`python tests/simulation --scenarios 2000` or `--items 100000`: what takes too long for the suite."""

from __future__ import annotations

import sys
from pathlib import Path


def run_campaign() -> int:
    """Run it with the folder of the tests' helpers on the path, as pytest has it."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    from simulation.campaign import main

    return main(sys.argv[1:], sys.stdout)


if __name__ == "__main__":
    sys.exit(run_campaign())
