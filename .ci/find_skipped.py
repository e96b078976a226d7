"""Name every skipped test of a pytest run, and fail unless each has a reason that is allowed.

    find_skipped.py REPORT.xml [ALLOWED_PATTERN...]

The report is the one of `pytest --junit-xml`. An expected failure counts as skipped, as it does there.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator


def find_skipped(report: str) -> Iterator[tuple[str, str]]:
    """Name each skipped test and its reason."""
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        for skipped in case.iter("skipped"):
            name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
            # A module that was skipped as a whole has its reason in the text only.
            yield name, f"{skipped.get('message', '')} {skipped.text or ''}".strip()


def main(report: str, *allowed: str) -> int:
    """Print the skipped tests; 1 if one of them may not be."""
    status = 0
    for name, reason in find_skipped(report):
        is_allowed = any(re.search(pattern, reason) for pattern in allowed)
        print(f"skipped{'' if is_allowed else ', which is not allowed here'}: {name}: {reason}")
        status |= not is_allowed
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
