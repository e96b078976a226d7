from __future__ import annotations

import base64
import codecs
import gzip
import json
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tencent_liveness_async import PhotoUnreadableError
from tencent_liveness_async.jobs.sources import Columns, SourceError, open_source
from tencent_liveness_async.jobs.sources._batches import MAX_HELD_BYTES, MAX_PHOTO_BYTES
from tencent_liveness_async.jobs.sources._lines import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async import LivenessError
    from tencent_liveness_async.jobs._records import Item

    Take: TypeAlias = Callable[..., list[Item]]
    TakePhotos: TypeAlias = Callable[..., tuple[list[Item], list[bytes | LivenessError | None]]]
    Row: TypeAlias = dict[str, object]
    Write: TypeAlias = Callable[[list[Row]], Path]


def _write_csv(path: Path, rows: list[Row]) -> Path:
    lines: list[list[object]] = [list(rows[0]), *(list(row.values()) for row in rows)]
    text = "\n".join(",".join("" if value is None else str(value) for value in line) for line in lines)
    path.with_suffix(".csv").write_text(text)
    return path.with_suffix(".csv")


def _write_lines(path: Path, rows: list[Row]) -> Path:
    path.with_suffix(".jsonl").write_text("\n".join(map(json.dumps, rows)))
    return path.with_suffix(".jsonl")


def _write_parquet(path: Path, rows: list[Row]) -> Path:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra parquet")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.fixture(params=[_write_csv, _write_lines, _write_parquet], ids=["csv", "jsonl", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Write a manifest of each kind."""
    return lambda rows: request.param(tmp_path / "m", rows)


def test_columns_have_usual_names(write: Write, take: Take, tmp_path: Path) -> None:
    """Rows have an id, a path or a URL, and a version; relative paths are relative to the manifest."""
    (tmp_path / "a.jpg").write_bytes(b"photo")
    manifest = write(
        [
            {"id": "one", "path": "a.jpg", "url": None, "version": None},
            {"id": "two", "path": "/elsewhere/b.jpg", "url": None, "version": "v2"},
            {"id": "three", "path": None, "url": "https://photos.test/c.jpg?sign=secret", "version": "v3"},
        ]
    )
    one, two, three = take(manifest)
    assert (one.id, one.path, one.version[:2]) == ("one", tmp_path / "a.jpg", "5:")
    assert (two.source, two.version) == ("/elsewhere/b.jpg", "v2")
    assert (three.id, three.url, three.version) == ("three", "https://photos.test/c.jpg?sign=secret", "v3")
    assert "secret" not in three.source


def test_other_columns_are_carried(write: Write, take: Take) -> None:
    """Columns that say nothing to the source are carried as they are."""
    items = take(
        write([{"path": "a.jpg", "who": "x", "score": "12"}, {"path": "b.jpg", "who": "y", "score": "13"}])
    )
    assert [dict(item.extra) for item in items] == [
        {"who": "x", "score": "12"},
        {"who": "y", "score": "13"},
    ]


def test_columns_can_be_named(write: Write, take: Take, tmp_path: Path) -> None:
    """Named columns are used, and a usual one beside a named location is carried."""
    manifest = write([{"n": "one", "file": "a.jpg", "url": "https://photos.test/a"}])
    (item,) = take(manifest, columns=Columns(id="n", path="file"))
    assert (item.id, item.path, item.url) == ("one", tmp_path / "a.jpg", None)
    assert item.extra == {"url": "https://photos.test/a"}


@pytest.mark.parametrize(
    ("columns", "missing"), [(Columns(), "path or url or bytes"), (Columns(id="n", path="p"), "n, p")]
)
def test_missing_columns_are_named(columns: Columns, missing: str, write: Write) -> None:
    """A manifest without what is needed is refused at once, with the columns it has."""
    manifest = write([{"who": "x", "file": "a.jpg"}])
    with pytest.raises(SourceError, match=f"has no column {missing}; its columns are who, file") as caught:
        open_source(str(manifest), columns=columns)
    assert str(manifest) in str(caught.value)


def test_equal_ids_are_told_apart(write: Write, take: Take) -> None:
    """The second row of an id is an error that names the first one's place."""
    first, second, third = take(write([{"id": i, "path": f"{n}.jpg"} for n, i in enumerate("aab")]))
    assert (first.id, first.error, third.id) == ("a", None, "b")
    assert isinstance(second.error, PhotoUnreadableError)
    assert second.id != "a"
    place = {"csv": "line 2", "jsonl": "line 1", "parquet": "row 1"}[
        second.source.split(".")[-1].split(",")[0]
    ]
    assert f"the id 'a' is that of {place}" in str(second.error)


def test_row_without_a_photo_is_an_outcome(write: Write, take: Take) -> None:
    """A row without path, URL and bytes is an error that names its place; the next one is read."""
    bad, good = take(write([{"id": "a", "path": " ", "url": None}, {"id": "b", "path": "b.jpg", "url": "x"}]))
    assert str(bad.error).endswith(
        ("line 2: it has no path or url or bytes", "1: it has no path or url or bytes")
    )
    assert good.id == "b"


def test_bytes_are_photos(write: Write, take_photos: TakePhotos) -> None:
    """A photo may be in the manifest itself, in Base64 or binary; its source is its id."""
    photos = [b"one" * 1000, b"two"]
    is_text = write([{"path": "a.jpg"}]).suffix != ".parquet"
    rows: list[Row] = [
        {"id": f"p{number}", "bytes": base64.b64encode(photo).decode() if is_text else photo}
        for number, photo in enumerate(photos)
    ]
    manifest = write(rows)
    items, loaded = take_photos(manifest)
    assert loaded == photos
    assert [item.source for item in items] == [f"{manifest}!p0", f"{manifest}!p1"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"bytes": "cGhvdG8="}, "a photo given as bytes needs an id"),
        ({"id": "a", "bytes": "cGhv!"}, "its bytes are not Base64"),
        ({"id": "a", "bytes": "A" * (MAX_PHOTO_BYTES // 3 * 4 + 8)}, "bytes and is not read"),
        ({"id": "a", "bytes": 5}, "its bytes are neither Base64 nor binary"),
        ({"id": ["a"], "path": "a.jpg"}, "its id is not text"),
        ({"id": "a", "path": {"x": 1}}, "its path is not text"),
    ],
)
def test_wrong_values_are_outcomes(row: Row, reason: str, take: Take, tmp_path: Path) -> None:
    """What is wrong with a row is its error."""
    (item,) = take(_write_lines(tmp_path / "m", [row]))
    assert reason in str(item.error)
    assert "line 1" in str(item.error)


def test_batches_are_bounded_by_bytes(tmp_path: Path, take: Take) -> None:
    """A batch of photos that are in the manifest ends when they are too many for the memory."""
    pytest.importorskip("pyarrow", reason="needs the extra parquet")
    from tencent_liveness_async.jobs.sources._parquet import open_parquet

    photo = bytes(4 * 1024 * 1024)
    manifest = _write_parquet(tmp_path / "m", [{"id": str(n), "bytes": photo} for n in range(12)])
    source = open_parquet(str(manifest), Columns())
    sizes = [len(batch) for batch in source._blocks]
    source._close()
    assert max(sizes) * len(photo) <= MAX_HELD_BYTES + len(photo)
    assert sum(sizes) == 12


def test_bad_lines_of_json_are_outcomes(take: Take, tmp_path: Path) -> None:
    """Lines that are no JSON, no object or no UTF-8 are errors with their numbers; blank ones are none."""
    manifest = tmp_path / "m.jsonl"
    manifest.write_bytes(
        b'{"path": "a.jpg"}\r\n\n{"path"\n["b.jpg"]\n{"path": "caf\xe9.jpg"}\n{"path": "caf\xc3\xa9.jpg"}'
    )
    first, cut, array, latin, last = take(manifest)
    assert (first.id, last.id) == ("a.jpg", "caf\xe9.jpg")
    for item, line, reason in (
        (cut, 3, "not JSON"),
        (array, 4, "not a JSON object"),
        (latin, 5, "not UTF-8"),
    ):
        assert isinstance(item.error, PhotoUnreadableError)
        assert f"{manifest}, line {line}: it is {reason}" in str(item.error)


def test_bad_lines_of_csv_are_outcomes(take: Take, tmp_path: Path) -> None:
    """Records with too few or many fields, broken quotes or another encoding are errors with their lines."""
    manifest = tmp_path / "m.csv"
    manifest.write_bytes(
        b'id,path\na,"a.jpg"\nb\nc,c.jpg,x\n\nd,"d\n.jpg"\ne,"e"x\nf,caf\xe9.jpg\ng,g.jpg\nh,"h.jpg\ni,i.jpg\n'
    )
    items = take(manifest)
    assert [item.id for item in items if item.error is None] == ["a", "d", "g"]
    assert [str(item.error).removeprefix(f"{manifest}, ") for item in items if item.error] == [
        "line 3: it has 1 fields, and the header 2",
        "line 4: it has 3 fields, and the header 2",
        "line 8: it is not CSV: ',' expected after '\"'",
        "line 9: it is not UTF-8; save the file as UTF-8, or as UTF-16 with a byte order mark",
        "lines 11 to 12: it is not CSV: unexpected end of data",
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_encodings_are_found_by_their_mark(
    mark: bytes, encoding: str, suffix: str, take: Take, tmp_path: Path
) -> None:
    """UTF-8 with a mark or without and UTF-16 with one are read alike."""
    text = {"csv": "path,who\n人.jpg,é\n", "jsonl": '{"path": "人.jpg", "who": "é"}\n'}[suffix]
    manifest = tmp_path / f"m.{suffix}"
    manifest.write_bytes(mark + text.encode(encoding))
    (item,) = take(manifest)
    assert (item.id, item.extra) == ("人.jpg", {"who": "é"})


@pytest.mark.parametrize("name", ["m.csv.gz", "m.jsonl.gz", "M.CSV.GZ"])
def test_compressed_manifests_are_read(name: str, take: Take, tmp_path: Path) -> None:
    """Manifests may be compressed; where one is cut off, an error stands for the rest."""
    urls = [f"https://photos.test/{number}" for number in range(20_000)]
    text = (
        "\n".join(json.dumps({"url": url}) for url in urls) if "jsonl" in name else "\n".join(["url", *urls])
    )
    whole = gzip.compress(text.encode())
    (tmp_path / name).write_bytes(whole)
    assert len(take(tmp_path / name)) == 20_000
    (tmp_path / name).write_bytes(whole[:-100])
    *items, rest = take(tmp_path / name)
    assert 0 < len(items) < 20_000
    assert rest.id == f"{tmp_path / name} (the rest)"
    assert "cannot be read beyond" in str(rest.error)


def test_utf_16_that_ends_within_a_sign_is_told(take: Take, tmp_path: Path) -> None:
    """An odd byte at the end of a manifest is an error, and not the end of the others."""
    manifest = tmp_path / "m.jsonl"
    manifest.write_bytes('\ufeff{"path": "a.jpg"}\n'.encode("utf-16-le") + b"{")
    item, rest = take(manifest)
    assert (item.id, isinstance(rest.error, PhotoUnreadableError)) == ("a.jpg", True)


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_line_without_end_is_an_outcome(name: str, take: Take, tmp_path: Path) -> None:
    """A line that is too long is an error and is not held whole; the next one is read."""
    rows = ["a.jpg", "b" * (MAX_LINE + 400_000), "c.jpg"]
    lines = [f'{{"path": "{row}"}}' for row in rows] if "jsonl" in name else ["path", *rows]
    (tmp_path / name).write_text("\n".join(lines))
    first, long, last = take(tmp_path / name)
    assert (first.id, last.id) == ("a.jpg", "c.jpg")
    assert isinstance(long.error, PhotoUnreadableError)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "without a header"), ("a,a,path\n", "several columns called a"), ('"a"b\n', "not CSV")],
)
def test_wrong_header_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    """A CSV manifest needs a header with different names."""
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(SourceError, match=reason):
        open_source(str(tmp_path / "m.csv"))


def test_carried_values_are_plain(take: Take, tmp_path: Path) -> None:
    """Numbers stay numbers; lists, objects, and numbers that no table takes, become text."""
    row: Row = {"path": "a", "n": 1, "x": 0.5, "b": True, "none": None, "list": [1], "big": 2**63}
    (item,) = take(_write_lines(tmp_path / "m", [row]))
    assert item.extra == {"n": 1, "x": 0.5, "b": True, "none": None, "list": "[1]", "big": str(2**63)}


def test_urls_that_differ_in_their_query_differ(take: Take, tmp_path: Path) -> None:
    """Two URLs with different queries are two photos, though their queries are not shown."""
    urls = [f"https://photos.test/get?id={number}" for number in range(2)]
    one, two = take(_write_lines(tmp_path / "m", [{"url": url, "version": "1"} for url in urls]))
    assert one.error is two.error is None
    assert one.source != two.source
    assert one.id != two.id
