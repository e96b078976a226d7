"""The page of a report: what is in its file."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._figures import compute_figures
from tencent_liveness_async.jobs._page import write_page
from tencent_liveness_async.jobs._page_table import MAX_ROWS, pick_rows
from tencent_liveness_async.jobs._records import PhotoRecord, ResultRow, RunNotes, State
from tencent_liveness_async.jobs._thumbnails import THUMBNAIL_PIXELS, make_thumbnail
from tencent_liveness_async.jobs._wording import format_number, format_seconds, format_share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

THRESHOLD = 40.0
RUN = RunNotes(1.7e9, 1.7e9 + 90, 5, 2, 1.5, 7, 3)


def make_row(
    number: int, state: State = State.SCORED, score: float | None = None, code: str = ""
) -> ResultRow:
    """Make an item whose photo was called once."""
    record = PhotoRecord(f"key {number}", state, score=score, code=code, attempts=1, attempt_seconds=0.3)
    return ResultRow(number, f"{number}.jpg", f"/nowhere/{number}.jpg", record, {})


def write(rows: Sequence[ResultRow], target: Path, **changes: str) -> str:
    """Write the page of these rows, and return its text."""
    figures = compute_figures([rows], threshold=THRESHOLD, run=RUN)
    write_page(figures, target, rows=(row.to_values(THRESHOLD) for row in rows), **changes)
    return target.read_text("utf-8")


def test_the_page_says_what_the_figures_say(tmp_path: Path) -> None:
    """Headings, main numbers, codes and money are all there."""
    rows = [make_row(1, score=91.0), make_row(2, score=12.0), make_row(3, State.UNKNOWN, code="LostError")]
    page = write(rows, tmp_path / "report.html")
    headings = re.findall(r"<h[12]>(.*?)</h[12]>", page)
    assert headings == [
        "Liveness report",
        "Outcomes",
        "Scores",
        "Near the threshold of 40",
        "Time",
        "Calls and money",
        "Photos",
    ]
    for expected in ("Not complete.", "LostError", "2023-11-14 22:13 UTC, 1 min 30 s", "50.0 % of scored"):
        assert expected in page


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [(2, "Complete."), (5, "3 photos not reached yet"), (1, "1 photo more than were put in")],
)
def test_inputs_are_compared_with_outcomes(inputs: int, expected: str, tmp_path: Path) -> None:
    """Whatever is missing or too much is said first."""
    rows = [make_row(1, score=50.0), make_row(2, score=60.0)]
    figures = compute_figures([rows], threshold=THRESHOLD, run=None, inputs=inputs)
    write_page(figures, tmp_path / "report.html", rows=[])
    assert expected in (tmp_path / "report.html").read_text("utf-8")


def test_costs_are_shown_where_there_are_prices(tmp_path: Path) -> None:
    """What is billed for certain, and what it comes to at most."""
    record = PhotoRecord("a", State.UNKNOWN, code="E", attempts=5, billed=3, maybe_billed=2)
    row = replace(make_row(1), record=record)
    figures = compute_figures([[row]], threshold=THRESHOLD, run=None, price=lambda calls: f"<{calls}> CNY")
    write_page(figures, tmp_path / "report.html", rows=[])
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<dt>Cost of the billed calls</dt><dd>&lt;3&gt; CNY</dd>" in page
    assert "<dt>Cost at most</dt><dd>&lt;5&gt; CNY</dd>" in page


@pytest.mark.parametrize(
    "rows",
    [[], [make_row(1, State.FAILED_FINAL, code="E")], [make_row(1, score=0.0)], [make_row(1, score=100.0)]],
)
def test_few_rows_make_a_page(rows: list[ResultRow], tmp_path: Path) -> None:
    """No row, no score, or only extreme ones: a page all the same."""
    assert "</html>" in write(rows, tmp_path / "report.html")


def test_a_photo_that_was_not_sent_has_no_time(tmp_path: Path) -> None:
    """Without a call there are no quantiles to show."""
    row = make_row(1, State.REFUSED_FREE, code="PhotoRejectedError")
    page = write([replace(row, record=replace(row.record, attempts=0))], tmp_path / "report.html")
    assert "No photo was sent." in page


def test_everything_foreign_is_escaped(tmp_path: Path) -> None:
    """Names, sources, codes, messages and the title cannot become markup."""
    evil = "</script><script>alert(1)</script>\"'$title"
    row = make_row(1, State.FAILED_FINAL, code=evil)
    row = replace(row, id=evil, source=f"{evil}/a", record=replace(row.record, message=f"{evil}!"))
    scored = replace(make_row(2, score=41.0), id=evil)
    page = write([row, scored], tmp_path / "report.html", title=evil)
    assert page.count("<script>") == page.count("</script>") == 1
    assert "\"'$title" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;$title" in page


def test_the_page_may_load_nothing(tmp_path: Path) -> None:
    """Its policy forbids every request, and no address is in it."""
    page = write([make_row(1, score=50.0)], tmp_path / "report.html")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'" in page
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|https?://", page)


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes(tmp_path: Path) -> None:
    """A lone surrogate of a file name is written as its escape."""
    assert "\\udcff.jpg" in write(
        [replace(make_row(1, score=50.0), id="\udcff.jpg")], tmp_path / "report.html"
    )


def test_the_page_is_put_in_place_whole(tmp_path: Path) -> None:
    """A page that cannot be made leaves the older one, and no other file."""
    target = tmp_path / "report.html"
    write([make_row(1, score=50.0)], target)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    figures = compute_figures([], threshold=THRESHOLD, run=None)
    with pytest.raises(KeyError):
        write_page(figures, target, rows=[{}])
    assert "1.jpg" in target.read_text("utf-8")


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    """At most 2,000 rows are in the page, which says of how many."""
    page = write([make_row(number, score=number / 30) for number in range(3000)], tmp_path / "report.html")
    assert page.count("<tr data-state") == MAX_ROWS
    assert "2,000 of 3,000 photos" in page


@pytest.mark.parametrize(
    ("failed", "scored", "expected"),
    [(5, 10, (5, 10)), (3000, 10, (1990, 10)), (10, 3000, (10, 1990)), (3000, 3000, (1000, 1000))],
)
def test_both_kinds_of_rows_have_their_share(failed: int, scored: int, expected: tuple[int, int]) -> None:
    """A table that is too long holds at least a thousand of each kind, if there are so many."""
    rows = [make_row(number, State.FAILED_FINAL, code="E") for number in range(failed)]
    rows += [make_row(number, score=number % 100) for number in range(scored)]
    picked, count = pick_rows((row.to_values(THRESHOLD) for row in rows), threshold=THRESHOLD)
    assert count == failed + scored
    assert (
        sum(row["score"] is None for row in picked),
        sum(row["score"] is not None for row in picked),
    ) == expected


def test_filters_offer_what_the_table_has(tmp_path: Path) -> None:
    """States and errors of rows that are shown can be chosen, each once."""
    rows = [
        make_row(1, score=50.0),
        make_row(2, State.UNKNOWN, code="B"),
        make_row(3, State.UNKNOWN, code="A"),
    ]
    page = write(rows, tmp_path / "report.html")
    assert re.findall(r"<option>(.*?)</option>", page) == ["Unknown", "Scored", "A", "B"]


def test_rows_come_by_urgency() -> None:
    """Unknown ones are first, then failures, refusals, and scores by their distance from the threshold."""
    states = (
        State.REFUSED_FREE,
        State.FAILED_TRANSIENT,
        State.UNKNOWN,
        State.REFUSED_BILLED,
        State.FAILED_FINAL,
    )
    rows = [make_row(1, score=90.0), make_row(2, score=39.0), make_row(3, score=42.0)]
    rows += [make_row(number, state, code="E") for number, state in enumerate(states, start=4)]
    picked, _ = pick_rows((row.to_values(THRESHOLD) for row in rows), threshold=THRESHOLD)
    assert [row["id"] for row in picked] == [f"{number}.jpg" for number in (6, 8, 5, 7, 4, 2, 3, 1)]


def test_pictures_are_small_upright_and_without_metadata(tmp_path: Path) -> None:
    """A thumbnail is a JPEG of at most 160 pixels, turned as its camera was held."""
    image_module = pytest.importorskip("PIL.Image")
    exif = image_module.Exif()
    exif[0x0112] = 6
    image_module.new("RGB", (800, 400), "teal").save(tmp_path / "a.jpg", exif=exif)
    found = make_thumbnail(tmp_path / "a.jpg")
    assert found is not None
    assert found.startswith("data:image/jpeg;base64,")
    image = open_thumbnail(found)
    assert image == (THUMBNAIL_PIXELS // 2, THUMBNAIL_PIXELS, 0)


def open_thumbnail(uri: str) -> tuple[int, int, int]:
    """Return width, height and the number of EXIF entries of a picture in a `data:` URI."""
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(b64decode(uri.partition(",")[2]))) as image:
        return (*image.size, len(image.getexif()))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_pictures_of_every_mode_are_shown(mode: str, tmp_path: Path) -> None:
    """Grey, palette, transparent and print colours all become thumbnails."""
    image_module = pytest.importorskip("PIL.Image")
    file = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image_module.new(mode, (300, 300)).save(file)
    assert make_thumbnail(file) is not None


def test_what_cannot_be_read_has_no_picture(tmp_path: Path) -> None:
    """A file that is gone, no picture, cut off, huge, or of another format has none."""
    image_module = pytest.importorskip("PIL.Image")
    image_module.effect_noise((400, 400), 90).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:5000])
    (tmp_path / "text.jpg").write_text("no picture")
    image_module.new("RGB", (30, 30)).save(tmp_path / "a.gif")
    image_module.new("1", (8000, 8000)).save(tmp_path / "huge.png")
    for name in ("gone.jpg", "text.jpg", "cut.png", "a.gif", "huge.png"):
        assert make_thumbnail(tmp_path / name) is None


def test_photos_near_the_threshold_are_shown(tmp_path: Path) -> None:
    """Those that are files here have a picture; the page tells of the others, and to keep it safe."""
    image_module = pytest.importorskip("PIL.Image")
    image_module.new("RGB", (300, 300), "teal").save(tmp_path / "a.jpg")
    shown = replace(make_row(1, score=41.0), source=str(tmp_path / "a.jpg"))
    page = write([shown, make_row(2, score=39.0)], tmp_path / "report.html")
    assert page.count('src="data:image/jpeg') == 1
    assert "1 photo of them cannot be shown" in page
    assert "keep it as safe as the photos" in page


def test_without_pillow_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are optional: their place says what to install."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    page = write([replace(make_row(1, score=41.0), source=__file__)], tmp_path / "report.html")
    assert "tencent-liveness-async[report]" in page
    assert "<img" not in page


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (0, 0, "-"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 5000, "< 0.1 %"),
        (4999, 5000, "> 99.9 %"),
        (1, 3, "33.3 %"),
    ],
)
def test_shares_are_not_rounded_to_nothing_or_all(part: int, whole: int, expected: str) -> None:
    """Only nothing is 0 %, and only all is 100 %."""
    assert format_share(part, whole) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0004, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3599.9, "1 h"),
        (5400, "1 h 30 min"),
    ],
)
def test_seconds_have_the_unit_that_suits_them(seconds: float, expected: str) -> None:
    """No unit is overfull after rounding."""
    assert format_seconds(seconds) == expected


@pytest.mark.parametrize(("number", "expected"), [(40.0, "40"), (100, "100"), (37.5, "37.5"), (0.0, "0")])
def test_numbers_have_no_idle_zeros(number: float, expected: str) -> None:
    """A threshold is shown as it was given."""
    assert format_number(number) == expected
