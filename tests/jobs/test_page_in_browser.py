"""The page of a report in a browser: Debian's `chromium`, driven by playwright."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._figures import compute_figures
from tencent_liveness_async.jobs._page import write_page
from tencent_liveness_async.jobs._records import PhotoRecord, ResultRow, RunNotes, State

pytest.importorskip("playwright")
from playwright.async_api import Browser, Page, async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

THRESHOLD = 40.0
PHOTOS = 100_000
LOAD_SECONDS = 3.0
EVIL = "<script>document.title = 'taken'</script>.jpg"
CODES = {
    State.REFUSED_BILLED: "FailedOperation.FaceDetectFailed",
    State.FAILED_TRANSIENT: "InternalError",
}


def make_row(number: int) -> ResultRow:
    """Make one of an archive's items: 2 in 100 have no face, 2 in 1,000 failed, the others are scored."""
    state = State.REFUSED_BILLED if number % 50 == 1 else State.SCORED
    if number % 500 == 2:
        state = State.FAILED_TRANSIENT
    record = PhotoRecord(
        f"key {number}",
        state,
        score=number % 1000 / 10 if state is State.SCORED else None,
        code=CODES.get(state, ""),
        attempts=1 + number % 3,
        billed=1,
        attempt_seconds=0.2 + number % 100 / 100,
        time=1.7e9,
    )
    name = EVIL if number == 1 else f"{number}.jpg"
    return ResultRow(number, name, f"/nowhere/{name}", record, {})


def make_batches(count: int) -> Iterator[list[ResultRow]]:
    """Make items in batches of 1,000, as a ledger gives them."""
    for start in range(1, count + 1, 1000):
        yield [make_row(number) for number in range(start, min(start + 1000, count + 1))]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the page of an archive, and return where it is."""
    target: Path = tmp_path_factory.mktemp("page") / "report.html"
    run = RunNotes(1.7e9, 1.7e9 + 2000, PHOTOS, 2, 3.5, 0, 4)
    figures = compute_figures(make_batches(PHOTOS), threshold=THRESHOLD, run=run)
    values = (row.to_values(THRESHOLD) for batch in make_batches(PHOTOS) for row in batch)
    write_page(figures, target, rows=values)
    return target.as_uri()


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """Start the browser once for all tests."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium is installed: apt-get install --no-install-recommends chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, address: str) -> AsyncIterator[Page]:
    """Open the page in a window of its own, and let no error of its script pass."""
    page = await browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    await page.goto(address)
    yield page
    await page.close()
    assert errors == []


async def read_column(page: Page, column: int) -> list[str]:
    """Return what a column of the table shows, hidden rows left out, from its first to its last row."""
    cells: list[str] = await page.evaluate(
        """column => Array.from(document.querySelectorAll("table.photos tbody tr"))
            .filter(row => !row.hidden).map(row => row.cells[column].textContent)""",
        column,
    )
    return cells


async def test_the_page_opens_within_three_seconds(browser: Browser, address: str) -> None:
    """A page of 100,000 photos is loaded and painted within 3 s."""
    page = await browser.new_page()
    began = time.perf_counter()
    await page.goto(address)
    await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert time.perf_counter() - began < LOAD_SECONDS
    await page.close()


async def test_nothing_is_requested_but_the_page(browser: Browser, address: str) -> None:
    """Neither loading nor using the page asks for anything else."""
    page = await browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(address)
    await page.get_by_role("button", name="Score").click()
    await page.get_by_label("Find").fill("jpg")
    await page.wait_for_load_state("networkidle")
    await page.close()
    assert [url for url in requests if not url.startswith("data:")] == [address]


async def test_the_page_shows_the_figures(page: Page) -> None:
    """Numbers, charts and the length of the table are what they are in the figures."""
    assert await page.title() == "Liveness report"
    assert "100,000" in await page.locator(".cards").inner_text()
    assert "Complete." in await page.locator(".check").inner_text()
    assert await page.locator("svg.histogram rect").count() == 100
    assert await page.locator("svg.histogram rect.live").count() == 60
    assert "2,000 of 100,000 photos" in await page.get_by_text("those without a score first").inner_text()
    assert await page.locator("#shown").inner_text() == "2,000 of 2,000 rows"


async def test_a_name_is_text_and_never_runs(page: Page) -> None:
    """A photo named like a script is shown by its name."""
    assert any(EVIL in name for name in await read_column(page, 0))
    assert await page.title() == "Liveness report"


async def test_a_click_on_a_header_sorts(page: Page) -> None:
    """The first click sorts upwards, the second downwards; rows without a value stay at the end."""
    header = page.get_by_role("columnheader", name="Score")
    for direction, is_descending in (("ascending", False), ("descending", True)):
        await header.get_by_role("button").click()
        assert await header.get_attribute("aria-sort") == direction
        shown = await read_column(page, 2)
        scores = [float(text) for text in shown if text]
        assert scores == sorted(scores, reverse=is_descending)
        assert len(scores) == 1000
        assert not any(shown[1000:])
    await page.get_by_role("columnheader", name="Photo").get_by_role("button").click()
    assert await header.get_attribute("aria-sort") == "none"


async def test_the_filters_hide_what_does_not_fit(page: Page) -> None:
    """Text, state and error narrow the table together, and the number of rows follows."""
    everything = await read_column(page, 0)
    await page.get_by_label("Find").fill("1.JPG")
    found = await read_column(page, 0)
    assert found == [name for name in everything if "1.jpg" in name]
    await page.get_by_label("Find").fill("")
    await page.get_by_label("State").select_option("Failed for now")
    assert set(await read_column(page, 1)) == {"Failed for now"}
    await page.get_by_label("Error").select_option("FailedOperation.FaceDetectFailed")
    assert await page.locator("#shown").inner_text() == "0 of 2,000 rows"
    await page.get_by_label("State").select_option("All")
    assert set(await read_column(page, 1)) == {"Refused, paid"}


async def test_it_follows_the_colours_of_the_reader(page: Page) -> None:
    """Light and dark differ, and the text is readable on both."""
    contrasts = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        contrasts.append(await page.evaluate(CONTRAST))
    assert contrasts[0]["paper"] != contrasts[1]["paper"]
    assert min(each["lowest"] for each in contrasts) >= 4.5


async def test_it_fits_a_phone(page: Page) -> None:
    """At 360 pixels nothing sticks out, and the table can still be sorted."""
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    scores = [float(text) for text in await read_column(page, 2) if text]
    await page.get_by_role("button", name="Score").click()
    assert float((await read_column(page, 2))[0]) == min(scores) < scores[0]


async def test_it_prints_what_paper_can_hold(page: Page) -> None:
    """On paper there are no filters, and the first 200 rows, which it says."""
    await page.emulate_media(media="print")
    assert not await page.locator(".controls").is_visible()
    assert await page.get_by_text("Printed: the first 200 rows").is_visible()
    assert await page.locator("table.photos tbody tr:visible").count() == 200


CONTRAST = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = getComputedStyle(document.body).backgroundColor;
  const ratio = selector => {
    const color = getComputedStyle(document.querySelector(selector)).color;
    const [low, high] = [light(parse(color)), light(parse(paper))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  return {paper, lowest: Math.min(...["h1", ".lead", "small", "thead th", "tr.own td"].map(ratio))};
}"""
"""Returns the background, and the lowest contrast (WCAG) of kinds of text with it."""
