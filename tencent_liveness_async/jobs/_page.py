"""A report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from ._page_sections import (
    make_gallery,
    make_header,
    make_money,
    make_outcomes,
    make_photos,
    make_scores,
    make_times,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ._figures import Figures
    from ._records import Value


def write_page(
    figures: Figures,
    target: Path,
    *,
    rows: Iterable[Mapping[str, Value]],
    title: str = "Liveness report",
) -> None:
    """Write a page with the figures as charts, a table to sort and filter, and pictures of close calls.

    The table holds at most 2,000 of the rows and says of how many; memory does not grow with their number.
    The pictures are of faces, so the page is as private as the photos. Without Pillow there are none,
    and the page says so. The file is put in place by rename, when it is whole.

    Args:
        figures: What the page says.
        target: Where the page goes; an older one is replaced.
        rows: Values of the `RESULT_COLUMNS` of every item; carried columns are not shown.
        title: Its heading.

    Raises:
        OSError: It cannot be written.
    """
    page = Template(_read_asset("page.html")).substitute(
        title=escape(title),
        style=_read_asset("page.css"),
        script=_read_asset("page.js"),
        content="\n".join(_make_sections(figures, rows, title)),
    )
    part = target.with_name(f"{target.name}.part")
    # File names that are not UTF-8 have lone surrogates in their place.
    part.write_bytes(page.encode("utf-8", "backslashreplace"))
    part.replace(target)


def _make_sections(figures: Figures, rows: Iterable[Mapping[str, Value]], title: str) -> list[str]:
    return [
        make_header(figures, title),
        make_outcomes(figures),
        make_scores(figures),
        make_gallery(figures),
        make_times(figures),
        make_money(figures),
        make_photos(figures, rows),
    ]


def _read_asset(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("utf-8")
