from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("PIL")

from killing import kill_and_resume, make_photos

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of 400 photos."""
    folder = tmp_path_factory.mktemp("archive") / "photos"
    make_photos(folder)
    return folder


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_job_resumes_and_pays_once(folder: Path, seed: int) -> None:
    """After kill -9 at any moment, every photo has one outcome, and none that had one is called again."""
    kill_and_resume(folder, seed=seed)


def test_a_job_killed_among_faults_resumes(folder: Path) -> None:
    """The same with resets, truncated answers and errors of the service."""
    kill_and_resume(folder, seed=100, has_faults=True)


def test_a_job_killed_twice_resumes(folder: Path) -> None:
    """The same when the resumed job is killed, too."""
    kill_and_resume(folder, seed=200, kills=2)
