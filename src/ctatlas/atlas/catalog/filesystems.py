"""Whether SQLite can share a file safely where it lies."""

from __future__ import annotations

import re
from pathlib import Path

from ctatlas.errors import AtlasError

# SQLite's write-ahead log needs memory that all writers share. Source: sqlite.org/wal.html, "Disadvantages", 2.
_NETWORK = {
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.ceph",
    "fuse.glusterfs",
    "fuse.juicefs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "panfs",
    "pvfs2",
    "smb3",
    "smbfs",
}
MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")  # how it writes blanks


def refuse_network_disk(path: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a place for a catalog where several machines would write without knowing of each other.

    Raises
    ------
    AtlasError
        With the way out.
    """
    kind = disk_kind(path, mounts)
    if kind in _NETWORK:
        raise AtlasError(
            f"{path}: lies on a network disk ({kind}), where SQLite can lose writes; set catalog in atlas.toml to a "
            "postgresql:// URL, or keep the atlas on a local disk; jobs with --shard need no catalog"
        )


def disk_kind(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the kind of file system that a path lies on, or is to lie on; empty where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    place = next((one for one in (path, *path.parents) if one.exists()), Path("/")).resolve()
    found: tuple[int, str] = (0, "")
    for line in lines:
        mounted, _, described = line.partition(" - ")
        fields = mounted.split(" ")
        if len(fields) < 5 or not described:
            continue
        point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if (point == place or point in place.parents) and len(point.parts) >= found[0]:
            found = len(point.parts), described.split(" ")[0]
    return found[1]
