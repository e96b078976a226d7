from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async import AccountError, Credential, LivenessClient, RetryPolicy
from tencent_liveness_async.jobs import (
    JobProgress,
    JobSettings,
    Ledger,
    LedgerReader,
    Parameters,
    ScoreJob,
    SinkError,
    State,
    open_sink,
    open_source,
)
from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    FaultRule,
    FaultScript,
    SandboxApp,
    SandboxSettings,
    SandboxTransport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tencent_liveness_async.jobs import PhotoRecord, Sink

PHOTO = (Path(__file__).parents[2] / "examples" / "photos" / "officer.jpg").read_bytes()


class Archive:
    """A folder of photos, a ledger beside it, and a sandbox that is paid."""

    def __init__(self, place: Path, faults: Sequence[FaultRule] = ()) -> None:
        self.folder = place / "photos"
        self.folder.mkdir()
        self.ledger = place / "archive.ledger"
        self.results = place / "results.jsonl"
        self.app = SandboxApp(SandboxSettings(quota=None, faces=False, faults=FaultScript(7, tuple(faults))))

    def add(self, name: str, number: int = 0) -> None:
        """Add a photo; equal numbers make equal photos."""
        (self.folder / name).write_bytes(PHOTO + number.to_bytes(4))

    def add_many(self, count: int) -> None:
        """Add photos of which no two are equal."""
        for number in range(count):
            self.add(f"{number:03}.jpg", number)

    def score(
        self,
        settings: JobSettings | None = None,
        *,
        source: str | None = None,
        sink: Callable[[], Sink] | None = None,
        retry: RetryPolicy | None = None,
    ) -> JobProgress:
        """Run a job over the folder."""

        async def run() -> JobProgress:
            client = LivenessClient(
                credentials=Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY),
                endpoint="http://sandbox.test",
                rate=10_000,
                max_concurrency=8,
                transport=SandboxTransport(self.app),
                retry=retry,
            )
            ledger = await Ledger.open(self.ledger, Parameters(None, "sandbox"))
            async with ledger, client:
                job = ScoreJob(client, opened, ledger, settings=settings, open_sink=sink)
                return await job.run()

        opened = open_source(source or str(self.folder))
        return asyncio.run(run())

    def read(self) -> dict[str, PhotoRecord]:
        """Return the records of the ledger by item."""
        with LedgerReader(self.ledger) as reader:
            return {row.id: row.record for rows in reader.rows() for row in rows}

    @property
    def calls(self) -> int:
        """Calls the sandbox has seen."""
        return self.app.statistics().calls


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return an empty archive."""
    return Archive(tmp_path)


def test_every_photo_of_an_archive_is_scored(archive: Archive) -> None:
    """A job ends with one outcome a photo, in the ledger and in the results, in the source's order."""
    archive.add_many(40)
    progress = archive.score(sink=lambda: open_sink(archive.results, ()))
    assert progress.stopped == "finished"
    assert progress.outcomes == {State.SCORED: 40}
    assert (progress.found, progress.billed, archive.calls) == (40, 40, 40)
    rows = [json.loads(line) for line in archive.results.read_text().splitlines()]
    assert [row["id"] for row in rows] == sorted(path.name for path in archive.folder.iterdir())
    assert all(row["score"] is not None and row["attempts"] == row["billed"] == 1 for row in rows)
    assert all(row["attempt_seconds"] > 0 for row in rows)


def test_equal_photos_are_paid_once(archive: Archive) -> None:
    """One photo under five names is one call and five results."""
    for name in "abcde":
        archive.add(f"{name}.jpg")
    progress = archive.score(sink=lambda: open_sink(archive.results, ()))
    assert (archive.calls, progress.equal) == (1, 4)
    assert len(archive.results.read_text().splitlines()) == 5


def test_what_is_finished_is_not_sent_again(archive: Archive) -> None:
    """A second run over the same archive makes no call; new and renamed photos are told apart."""
    archive.add_many(20)
    archive.score()
    (archive.folder / "000.jpg").rename(archive.folder / "renamed.jpg")
    archive.add("new.jpg", 99)
    progress = archive.score()
    assert (progress.resumed, archive.calls) == (20, 21)
    assert archive.read()["renamed.jpg"].score == archive.read()["000.jpg"].score


def test_refused_photos_are_finished_and_failed_ones_are_not(tmp_path: Path) -> None:
    """A resumed run leaves what was refused and tries again what may pass."""
    rules = [FaultRule(fault="code", code="FailedOperation.ServerError", calls=tuple(range(1, 30)))]
    archive = Archive(tmp_path, rules)
    archive.add_many(3)
    (archive.folder / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    progress = archive.score(retry=RetryPolicy(budget=0))
    assert progress.outcomes == {State.FAILED_TRANSIENT: 3, State.REFUSED_FREE: 1}
    archive.app.set_faults(FaultScript())
    progress = archive.score()
    assert progress.outcomes == {State.SCORED: 3}
    assert progress.resumed == 1


@pytest.mark.parametrize("most", [0, 1, 7, 12])
def test_a_budget_is_never_exceeded(tmp_path: Path, most: int) -> None:
    """However calls fail and are tried again, exactly as many are billed as the budget allows."""
    rules = [FaultRule(fault="reset", at="answer", rate=0.3), FaultRule(fault="truncate", rate=0.2)]
    archive = Archive(tmp_path, rules)
    archive.add_many(30)
    progress = archive.score(JobSettings(max_calls=most), retry=RetryPolicy(max_maybe_billed=5))
    assert progress.stopped == "budget"
    assert progress.billed + progress.maybe_billed == most == archive.app.statistics().billed


def test_unknown_photos_are_left_alone_unless_told(archive: Archive) -> None:
    """A photo that may be paid is not sent again by itself."""
    archive.add_many(2)
    archive.app.set_faults(FaultScript(rules=(FaultRule(fault="reset", at="answer", after=0),)))
    once = RetryPolicy(max_maybe_billed=0)
    assert (archive.score(retry=once)).outcomes == {State.UNKNOWN: 2}
    archive.app.set_faults(FaultScript())
    assert (archive.score()).skipped_unknown == 2
    assert (archive.score(JobSettings(on_unknown="retry"))).outcomes == {State.SCORED: 2}


def test_an_item_that_cannot_be_read_is_an_outcome(archive: Archive, tmp_path: Path) -> None:
    """A manifest's missing file and bad line are rows with an error; the others are scored."""
    archive.add_many(2)
    manifest = tmp_path / "photos.jsonl"
    lines = [{"path": "photos/000.jpg"}, {"path": "photos/missing.jpg"}, {"path": "photos/001.jpg"}]
    manifest.write_text("\n".join([*map(json.dumps, lines), "not json"]) + "\n")
    progress = archive.score(source=str(manifest), sink=lambda: open_sink(archive.results, ()))
    assert progress.outcomes == {State.SCORED: 2, State.FAILED_FINAL: 2}
    rows = [json.loads(line) for line in archive.results.read_text().splitlines()]
    assert len(rows) == 4
    assert any("line 4" in row["message"] for row in rows)


def test_one_url_in_two_versions_has_two_results(archive: Archive, tmp_path: Path) -> None:
    """Items that share a call in flight although their keys differ have a result each."""
    manifest = tmp_path / "photos.jsonl"
    rows = [{"id": version, "url": "https://photos.test/1.jpg", "version": version} for version in "ab"]
    manifest.write_text("\n".join(map(json.dumps, rows)) + "\n")
    progress = archive.score(source=str(manifest), sink=lambda: open_sink(archive.results, ()))
    assert progress.outcomes == {State.SCORED: 2}
    assert archive.calls == 1
    results = [json.loads(line) for line in archive.results.read_text().splitlines()]
    assert [row["score"] for row in results] == [results[0]["score"]] * 2


def test_too_many_errors_stop_a_job(tmp_path: Path) -> None:
    """More failures than allowed end the intake."""
    archive = Archive(tmp_path, [FaultRule(fault="code", code="FailedOperation.ServerError", after=0)])
    archive.add_many(60)
    progress = archive.score(JobSettings(max_errors=5), retry=RetryPolicy(budget=0))
    assert progress.stopped == "errors"
    assert 5 < progress.failed < 40


def test_time_stops_a_job(archive: Archive) -> None:
    """After its time a job takes in nothing more."""
    archive.add_many(5)
    progress = archive.score(JobSettings(max_seconds=0.0))
    assert progress.stopped == "time"
    assert archive.calls == 0


def test_an_account_fault_ends_a_job_with_its_results(tmp_path: Path) -> None:
    """Arrears end the run with their error; what was scored is in the results, the rest is sent next time."""
    archive = Archive(tmp_path, [FaultRule(fault="arrears", after=10)])
    archive.add_many(30)
    with pytest.raises(AccountError):
        archive.score(sink=lambda: open_sink(archive.results, ()))
    scored = sum(json.loads(line)["score"] is not None for line in archive.results.read_text().splitlines())
    assert scored == archive.app.statistics().billed == 10
    archive.app.set_faults(FaultScript())
    progress = archive.score()
    assert progress.resumed == 10
    assert all(record.state is State.SCORED for record in archive.read().values())


def test_results_that_cannot_be_written_lose_nothing(archive: Archive) -> None:
    """When the result file cannot be opened, nothing is sent; the ledger is as it was."""
    archive.add_many(3)
    with pytest.raises(SinkError):
        archive.score(sink=lambda: open_sink(Path("/proc/results.jsonl"), ()))
    assert archive.calls == 0
    assert (archive.score()).outcomes == {State.SCORED: 3}
