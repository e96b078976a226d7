from __future__ import annotations

import asyncio
import io
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio.to_thread

from tencent_liveness_async.jobs.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tencent_liveness_async.jobs._records import Item

    Take: TypeAlias = Callable[..., list[Item]]


def test_lines_are_paths_urls_or_objects(take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of standard input is a path, a URL or a JSON object; blank ones are nothing."""
    monkeypatch.chdir(tmp_path)
    text = b'a b.jpg\r\n\nhttps://photos.test/1.jpg\n{"id": "x", "path": "c.jpg", "who": "me"}\ncaf\xe9.jpg'
    path, url, row, odd = take("-", stdin=io.BytesIO(text))
    assert (path.id, path.path) == ("a b.jpg", tmp_path / "a b.jpg")
    assert url.url == "https://photos.test/1.jpg"
    assert (row.id, row.extra) == ("x", {"who": "me"})
    assert odd.path is not None
    assert os.fsencode(odd.path.name) == b"caf\xe9.jpg"


def test_url_that_is_no_text_is_an_outcome(take: Take) -> None:
    """A URL that is not UTF-8 is an error of its line alone; it cannot be sent."""
    bad, good = take("-", stdin=io.BytesIO(b"https://photos.test/caf\xe9.jpg\na.jpg\n"))
    assert "standard input, line 1: it is not UTF-8" in str(bad.error)
    assert good.error is None


def test_id_is_repeated_far_from_its_first_line(take: Take) -> None:
    """Ids differ within a whole manifest, however many lines and wrong lines are between them."""
    lines = [f"{number}.jpg" for number in range(2_500)]
    lines[10:10] = ["{x"]
    *_, again, last = take("-", stdin=io.BytesIO("\n".join([*lines, "1100.jpg", "z.jpg"]).encode()))
    assert "line 2502: the id '1100.jpg' is that of line 1102" in str(again.error)
    assert last.error is None


def test_bad_lines_are_outcomes(take: Take) -> None:
    """A line that begins like an object and is none, and one that comes again, are errors."""
    bad, good, again = take("-", stdin=io.BytesIO(b"{x\na.jpg\na.jpg\n"))
    assert "standard input, line 1: it is not JSON" in str(bad.error)
    assert good.id == "a.jpg"
    assert "standard input, line 3: the id 'a.jpg' is that of line 2" in str(again.error)


def test_empty_input_has_no_items(take: Take) -> None:
    """Nothing on standard input is no item and no error."""
    assert take("-", stdin=io.BytesIO()) == []


def test_lines_come_when_they_are_there() -> None:
    """A line is handed out before the next one is written, and waiting for it can be cancelled."""
    read_end, write_end = os.pipe()

    async def converse(stream: io.BufferedReader) -> tuple[list[str], bool]:
        source = await anyio.to_thread.run_sync(partial(open_source, "-", stdin=stream))
        batches = aiter(source)
        found = [(await anext(batches))[0].id]
        await anyio.to_thread.run_sync(os.write, write_end, b"b.jpg\nc.j")
        found += [item.id for item in await anext(batches)]
        with anyio.move_on_after(0) as scope:
            await anext(batches)
        await source.aclose()
        return found, scope.cancelled_caught

    os.write(write_end, b"a.jpg\n")
    with Path(f"/dev/fd/{read_end}").open("rb") as stream:
        assert asyncio.run(converse(stream)) == (["a.jpg", "b.jpg"], True)
    os.close(read_end)
    os.close(write_end)


def test_redirected_file_is_read(take: Take, tmp_path: Path) -> None:
    """Standard input may be a file, which no event loop can wait for, or nothing at all."""
    (tmp_path / "list").write_text("\n".join(f"https://photos.test/{n}" for n in range(20_000)))
    with (tmp_path / "list").open("rb") as stream:
        assert len(take("-", stdin=stream)) == 20_000
    with Path(os.devnull).open("rb") as stream:
        assert take("-", stdin=stream) == []
