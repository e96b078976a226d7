"""Where a ledger may be: a file system on which several processes see one another's locks and memory."""

from __future__ import annotations

import os
from pathlib import Path

from ._errors import LedgerError

NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2"}
    | {f"fuse.{name}" for name in ("sshfs", "glusterfs", "s3fs", "gcsfuse", "cosfs", "rclone", "goofys")}
)
"""On these SQLite's write-ahead log is not safe: https://sqlite.org/wal.html, "Disadvantages"."""

MOUNTS = Path("/proc/self/mountinfo")


def refuse_network(ledger: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a ledger on a network file system, where it might lose what it acknowledged.

    Where there is no list of mounts, as on macOS, nothing is refused.

    Raises:
        LedgerError: It is on one.
    """
    kind = find_type(ledger.parent, mounts)
    if kind in NETWORK_TYPES:
        raise LedgerError(
            f"{ledger} would be on a network file system ({kind}), where a crash can lose what was paid for: "
            "name a ledger on a local disk; results may be written anywhere"
        )


def find_type(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that `folder` is on; empty if it cannot be told."""
    try:
        device = os.stat(folder).st_dev  # noqa: PTH116 - the same call, and the name says what it is
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == number:
            return rest.split()[0]
    return ""
